"""Reading one mapping of a catalogue file: each value is named by its path, each unknown field is a mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from rater.errors import CatalogueError
from rater.money import MoneyError, parse_price
from rater.tariff.yaml_text import Unquoted

T = TypeVar("T")


class Fields:
    """The fields of a mapping at `path` ("world.yaml: versions[0].rates[3]"), each taken once."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise CatalogueError(f"{path}: write fields here (name: value), not {_kind(value)}")
        self._left: dict[str, Any] = dict(value)
        self.path = path

    def wrong(self, name: str, what: object) -> CatalogueError:
        """The mistake in a field."""
        return CatalogueError(f"{self.path}.{name}: {what}")

    def take(self, name: str) -> Any:
        """The raw value of a field, None if it is not there."""
        return self._left.pop(name, None)

    def read(self, name: str, parse: Callable[[Any], T], default: T) -> T:
        """A field through its parser; what the parser raises is reported under the field's name."""
        value = self.take(name)
        if value is None:
            return default
        try:
            return parse(value)
        except (ValueError, CatalogueError) as error:
            raise self.wrong(name, error) from None

    def text(self, name: str, default: str | None = None) -> str:
        """A field that holds one text; without a default it must be there."""
        value = self.take(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "is required" if value is None else f"write one text, not {_kind(value)}")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> Any:
        """A field that holds one of some words."""
        value = self.text(name, default)
        if value != default and value not in choices:
            raise self.wrong(name, f'"{value}" is not one of {", ".join(choices)}')
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A field that holds one text or a list of them; empty if it is not there."""
        value = self.take(name)
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) and item for item in values):
            raise self.wrong(name, "write a text or a list of texts")
        return tuple(values)

    def price(self, name: str) -> Fraction | None:
        """A price or an amount that is not negative."""
        return self.read(name, read_price, None)

    def list(self, name: str) -> list[tuple[Any, str]]:
        """The items of a list and their paths; empty if it is not there."""
        value = self.take(name)
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, f"write a list, not {_kind(value)}")
        return [(item, f"{self.path}.{name}[{place}]") for place, item in enumerate(value or ())]

    def rest(self) -> dict[str, Any]:
        """All fields that were not taken yet; takes them."""
        left, self._left = self._left, {}
        return left

    def done(self) -> None:
        """Every field has been taken, or the first that was not is a mistake."""
        for name in self._left:
            raise CatalogueError(f'{self.path}: there is no field "{name}" here')


def read_price(value: object) -> Fraction:
    """A price as the file states it, exact and not negative.

    Raises:
        ValueError: a float, a negative number, or no number.
    """
    if isinstance(value, Unquoted):
        raise MoneyError(f'write "{value}" in quotes, so that it stays exact')
    price = parse_price(value)
    if price < 0:
        raise MoneyError(f'"{value}" is negative')
    return price


def read_instant(value: object, zone: str) -> int:
    """Unix milliseconds of "2026-10-01T00:00", in the zone unless it states an offset.

    Raises:
        ValueError: no such time.
    """
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f'"{value}" is no time such as "2026-10-01T00:00"') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    offset = moment.utcoffset()
    assert offset is not None
    since = moment.replace(tzinfo=None) - offset - datetime(1970, 1, 1)
    return (since.days * 86_400 + since.seconds) * 1000


def read_zone(value: object) -> str:
    """The name of a time zone of the IANA database.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(value if isinstance(value, str) else "").key
    except (ValueError, OSError, KeyError):
        raise ValueError(f'"{value}" is no IANA time zone such as Europe/Berlin') from None


def _kind(value: object) -> str:
    names = {list: "a list", dict: "fields", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), f'"{value}"')
