"""What a client is told about an event that was decided before, through another door or longer ago than Redis knows.

The same id gets the same verdict through any door. Of an event that came through another one the verdict memory says
what was decided. Of one that is older only ClickHouse does: one query a request for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rater.money import format_nanos
from rater.pipeline.tally import Verdict
from schemas.fates import Fate
from streams.clickhouse.queries import first_verdicts
from streams.clickhouse.server import ClickHouse
from streams.http.forms import EventVerdict


async def first_told(
    clickhouse: ClickHouse, tenant: str, identities: Sequence[Any], verdicts: Sequence[Verdict],
    answers: list[EventVerdict],
) -> None:  # fmt: skip
    """Put the first verdict in the place of each "duplicate"; one that is nowhere to be read stays a duplicate."""
    forgotten: defaultdict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        if verdict.fate is not Fate.DUPLICATE:
            continue
        answer, decision = answers[index], verdict.first
        answer.repeated = True
        if decision is None:
            named = identities[index].tenant
            forgotten[named if isinstance(named, str) else tenant].append(index)
            continue
        answer.fate = decision.fate.label
        answer.reason = decision.reason.label if decision.reason else ""
        answer.charged = format_nanos(decision.charged_nanos)
    for owner, indices in forgotten.items():
        found = await first_verdicts(clickhouse, owner, [(answers[i].source, answers[i].id) for i in indices])
        for i in indices:
            first = found.get((answers[i].source, answers[i].id))
            if first is not None:
                answers[i].fate, answers[i].reason, answers[i].currency = first.fate, first.reason, first.currency
                answers[i].charged = format_nanos(first.charged_nanos)
                answers[i].uncovered = format_nanos(first.uncovered_nanos) if first.uncovered_nanos else ""
