"""The worked examples of examples.yaml, each redone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rater.money import format_nanos
from rater.rating.rate import rate
from tests.rater.rating.building import example_tariff, example_usage

EXAMPLES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("examples.yaml").read_text())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["case"]))
def test_the_engine_comes_to_what_the_pencil_does(example: dict[str, Any]) -> None:
    charge = rate(
        example_tariff(example),
        example_usage(example["usage"]),
        example.get("counters", {}),
        example.get("cycle_zone", "Europe/Berlin"),
    )

    assert charge.outcome == example.get("outcome", "priced")
    assert format_nanos(charge.amount_nanos) == example["amount"]
    if "billable" in example:
        assert sum(part.billable_quantity for part in charge.parts) == example["billable"]
    if "parts" in example:
        assert [format_nanos(part.amount_nanos) for part in charge.parts] == example["parts"]
    if "uses" in example:
        assert {use.key: use.add for use in charge.uses} == example["uses"]
