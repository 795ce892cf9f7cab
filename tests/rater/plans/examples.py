"""The example plans of config/plans/examples."""

from __future__ import annotations

from pathlib import Path

from rater.plans.model import Plan
from rater.plans.reading import read_plan
from rater.settings import CONFIG

EXAMPLES = Path(CONFIG) / "plans" / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def example(file: str) -> Plan:
    """The first version of an example, by the name of its file."""
    path = EXAMPLES / f"{file}.yaml"
    return read_plan(path.read_text(), str(path))[0]
