"""What a batch counts for in the metrics: each event under its fate when it is decided, a repeat as a duplicate."""

from __future__ import annotations

from rater.pipeline.settle import Outputs
from rater.pipeline.tally import Tally
from schemas.fates import Fate, Reason


def once(outputs: Outputs) -> Tally:
    """The tally without what an earlier call had decided. Clients repeat, and money is charged once."""
    tally = outputs.tally
    if not tally.redelivered:
        return tally
    counted = Tally(tally.events, tally.fates.copy(), tally.redelivered, tally.charged_nanos.copy())
    counted.uncovered_nanos = tally.uncovered_nanos.copy()
    for verdict in outputs.verdicts:
        if verdict.first is not None and verdict.fate is not Fate.DUPLICATE:
            counted.fates[verdict.fate, verdict.reason] -= 1
            counted.fates[Fate.DUPLICATE, Reason.NONE] += 1
            counted.charged_nanos[verdict.currency] -= verdict.charged_nanos
            counted.uncovered_nanos[verdict.currency] -= verdict.uncovered_nanos
    return counted
