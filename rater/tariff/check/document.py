"""A YAML or CSV file as values that know their line.

YAML is composed into nodes and not constructed, because construction loses the lines and takes the second of two equal
keys without a word.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rater.tariff.check.mistakes import Report, nearest
from rater.tariff.yaml_text import CatalogueLoader

#: A tariff nests less than ten deep; an alias that holds itself nests without end.
DEPTH_MAX = 20
_TAGS = frozenset({"!float", *(f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "map", "seq"))})


@dataclass(slots=True, frozen=True)
class Value:
    """Something in a file, and where."""

    path: str
    line: int


@dataclass(slots=True, frozen=True)
class Scalar(Value):
    """A text as written.

    `kind` is what the catalogue's YAML reads it as ("str", "!float", "bool", "null"), or "cell" for one of a table.
    """

    text: str
    kind: str = "str"


@dataclass(slots=True, frozen=True)
class Seq(Value):
    """A list."""

    items: tuple[Value, ...]


@dataclass(slots=True, frozen=True)
class Map(Value):
    """A mapping; a value stands on its own line, its key in `keys`."""

    entries: dict[str, Value]
    keys: dict[str, Scalar]

    def get(self, name: str) -> Value | None:
        """The value of a key, None where it is not there or empty (YAML's null)."""
        value = self.entries.get(name)
        return None if isinstance(value, Scalar) and value.kind == "null" else value


def read_yaml(path: Path, report: Report, example: str = "tariff: my-tariff") -> Map | None:
    """The mapping a YAML file holds; None, and a mistake, where it holds none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        report.add(Value(str(path), 1), f"cannot be read: {error}")
        return None
    return read_yaml_text(text, str(path), report, example)


def read_yaml_text(text: str, path: str, report: Report, example: str) -> Map | None:
    """The mapping that the text of a YAML file holds; `path` names it in mistakes."""
    try:
        node = yaml.compose(text, Loader=CatalogueLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        report.add(Value(path, line), f"not YAML: {getattr(error, 'problem', None) or error}")
        return None
    value = None if node is None else convert(node, path, report)
    if isinstance(value, Map):
        return value
    report.add(Value(path, 1), f'not a mapping; write fields such as "{example}"')
    return None


def convert(node: yaml.Node, path: str, report: Report, depth: int = 0) -> Value:
    """A composed node as a value with its line."""
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        report.add(Value(path, line), f'"{node.tag}" is no type of a catalogue; take it out')
    if depth > DEPTH_MAX:
        report.add(Value(path, line), "nested too deep; write it out without aliases")
        return Scalar(path, line, "", "null")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, report, depth)
    if isinstance(node, yaml.SequenceNode):
        return Seq(path, line, tuple(convert(item, path, report, depth + 1) for item in node.value))
    return Scalar(path, line, str(node.value), node.tag.rpartition(":")[2])


def _mapping(node: yaml.MappingNode, path: str, report: Report, depth: int) -> Map:
    entries: dict[str, Value] = {}
    keys: dict[str, Scalar] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _TAGS:
            report.add(Value(path, key_node.start_mark.line + 1), "a field's name is a plain text; write one")
            continue
        value = convert(value_node, path, report, depth + 1)
        key = Scalar(path, key_node.start_mark.line + 1, str(key_node.value))
        if key.text in entries:
            report.add(key, f'"{key.text}" is already given in line {keys[key.text].line}; keep one of them')
            continue
        entries[key.text], keys[key.text] = value, key
    return Map(path, node.start_mark.line + 1, entries, keys)


def read_csv(path: Path, report: Report, known: frozenset[str] | None, at: Value) -> Iterator[dict[str, Scalar]]:
    """The rows of a table, each a mapping from column to a non-empty cell.

    Lines that start with "#" are comments. `known` are the columns the table may have (None: any), besides
    "bands.NAME"; `at` is where the table is named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        report.add(at, f'"{path.name}" cannot be read: {getattr(error, "strerror", None) or error}')
        return
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        report.add(Value(str(path), 1), "the table is empty; its first line names the columns")
        return
    header = [name.strip() for name in next(csv.reader([numbered[0][1]]))]
    place = Value(str(path), numbered[0][0])
    _check_header(header, known, place, report)
    name = str(path)
    for (number, _), cells in zip(numbered[1:], csv.reader(line for _, line in numbered[1:]), strict=False):
        if len(cells) != len(header):
            report.add(Value(name, number), f"{len(cells)} cells; write {len(header)}, as many as there are columns")
        yield {
            column: Scalar(name, number, cell.strip(), "cell")
            for column, cell in zip(header, cells, strict=False)
            if cell and not cell.isspace()
        } or {"": Scalar(name, number, "")}


def _check_header(header: list[str], known: frozenset[str] | None, place: Value, report: Report) -> None:
    for index, column in enumerate(header):
        if column in header[:index]:
            report.add(place, f'column "{column}" is there twice; keep one of them')
        elif known is not None and column not in known and not column.startswith("bands."):
            report.add(place, f'unknown column "{column}"; {nearest(column, sorted(known))}')
