"""Reading one mapping of a plan file: what is wrong is noted with its line, and reading goes on with a default.

So one reading finds every mistake; what it made of a file with mistakes is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from rater.money import AMOUNT_MAX_NANOS, NANOS, format_nanos
from rater.plans.proration import minor_step_nanos
from rater.rating.timeline import instant_ms
from rater.tariff.check.document import Map, Scalar, Seq, Value
from rater.tariff.check.mistakes import Report, nearest
from rater.tariff.check.values import amount, choice, fields, moment, text, texts

T = TypeVar("T")
W = TypeVar("W", bound=str)


@dataclass(slots=True, frozen=True)
class Reference:
    """A name in a plan file that another file must know: a tariff, a plan, or a zone or the currency of a tariff."""

    sort: Literal["tariff", "plan", "zone", "currency"]
    name: str
    at: Value
    #: The version it stands in, as mistakes call it, and that version's tariff.
    version: str
    tariff: str


@dataclass(slots=True)
class Context:
    """What all sections of a file share."""

    report: Report
    zone: ZoneInfo | None = None
    #: Empty where the file names none, or none that exists.
    currency: str = ""
    #: The first amount of money, to ask for the currency.
    money_at: Value | None = None
    version: str = ""
    tariff: str = ""
    references: list[Reference] = field(default_factory=list)

    def refer(self, sort: Literal["tariff", "plan", "zone", "currency"], name: str, at: Value) -> None:
        """Note a name for the check of the whole catalogue."""
        self.references.append(Reference(sort, name, at, self.version, self.tariff))


class Section:
    """The fields of a mapping. `what` names it in mistakes: "an allowance"."""

    def __init__(self, context: Context, value: Map, what: str) -> None:
        self.context = context
        self.at: Value = value
        self.what = what
        self._map = value
        self._asked: list[str] = []
        self._required: list[str] = []

    def wrong(self, name: str, message: str, *, tolerable: bool = False) -> None:
        """Note a mistake at a field, or at the section where the field is not there."""
        self.context.report.add(self._map.keys.get(name) or self.at, message, tolerable=tolerable)

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return self._map.get(name) is not None

    def raw(self, name: str, *, required: bool = False) -> Value | None:
        """The value of a field, with its line; None where it is not there."""
        if name not in self._asked:
            self._asked.append(name)
        if required:
            self._required.append(name)
        return self._map.get(name)

    def text(self, name: str, *, required: bool = False) -> str:
        """One text; empty where it is not there."""
        word = text(self.context.report, self.raw(name, required=required), name)
        return word.text if word is not None else ""

    def texts(self, name: str) -> list[Scalar]:
        """One text or a list of them."""
        return texts(self.context.report, self.raw(name), name)

    def parsed(self, name: str, parse: Callable[[str], T], *, required: bool = False) -> T | None:
        """One text through its parser; what the parser raises is the mistake."""
        word = text(self.context.report, self.raw(name, required=required), name)
        if word is None:
            return None
        try:
            return parse(word.text)
        except ValueError as error:
            self.context.report.add(word, f"{name} {error}")
            return None

    def choice(self, name: str, options: Iterable[W], default: W) -> W:
        """One of a few words."""
        return self.chosen(self.raw(name), name, options, default)

    def chosen(self, value: Value | None, name: str, options: Iterable[W], default: W) -> W:
        """One of a few words, from a value that was taken already."""
        known = list(options)
        word = choice(self.context.report, value, name, known)
        return next((option for option in known if option == word), default)

    def choices(self, name: str, options: Iterable[W], default: frozenset[W]) -> frozenset[W]:
        """Some of a few words; the default where the field is not there or empty."""
        known, found = list(options), set()
        for word in self.texts(name):
            if word.text not in known:
                self.context.report.add(word, f'unknown {name} "{word.text}"; {nearest(word.text, sorted(known))}')
            found |= {option for option in known if option == word.text}
        return frozenset(found) or default

    def flag(self, name: str) -> bool:
        """True or false; false where it is not there."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        word = text(self.context.report, self.raw(name), name)
        if word is None:
            return None
        digits = word.text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 16 and low <= int(word.text) <= high:
            return int(word.text)
        self.context.report.add(word, f'{name} "{word.text}" is no whole number from {low} to {high}; write one')
        return None

    def money(self, name: str, *, required: bool = False, signed: bool = False) -> int | None:
        """An amount in nanos, a multiple of the currency's minor unit."""
        return self.money_of(self.raw(name, required=required), name, signed=signed)

    def money_of(self, value: Value | None, name: str, *, signed: bool = False) -> int | None:
        """An amount from a value that was taken already."""
        word = text(self.context.report, value, name)
        if word is None:
            return None
        self.context.money_at = self.context.money_at or word
        is_negative = signed and word.text.startswith("-")
        exact = amount(self.context.report, replace(word, text=word.text[1:]) if is_negative else word, name)
        if exact is None:
            return None
        nanos, currency = exact * NANOS, self.context.currency
        step = minor_step_nanos(currency) if currency else 1
        if nanos % step:
            least = format_nanos(step)
            self.context.report.add(word, f'{name} "{word.text}" is no multiple of {least} {currency}; write one')
        elif nanos > AMOUNT_MAX_NANOS:
            self.context.report.add(word, f'{name} "{word.text}" is past what the ledger holds; write less')
        return -int(nanos) if is_negative else int(nanos)

    def moment(self, name: str) -> int | None:
        """A point in time in Unix ms, in the plan's zone unless it states an offset."""
        return self.moment_of(self.raw(name), name)

    def moment_of(self, value: Value | None, name: str) -> int | None:
        """A point in time from a value that was taken already."""
        found = moment(self.context.report, value, name, self.context.zone)
        return None if found is None else instant_ms(found)

    def section(self, name: str, what: str) -> Section | None:
        """A field that holds fields."""
        value = self.raw(name)
        return None if value is None else self._section(value, what)

    def sections(self, name: str, what: str) -> Iterator[Section]:
        """A field that holds a list of fields."""
        value = self.raw(name)
        if value is not None and not isinstance(value, Seq):
            self.context.report.add(value, f'"{name}" is a list; write "- " before each')
            return
        for item in value.items if value is not None else ():
            section = self._section(item, what)
            if section is not None:
                yield section

    def _section(self, value: Value, what: str) -> Section | None:
        if isinstance(value, Map):
            return Section(self.context, value, what)
        self.context.report.add(value, f"{what} is a mapping of fields (name: value)")
        return None

    def done(self) -> None:
        """Every field has been taken: note the unknown and the missing ones."""
        fields(self.context.report, self._map, self._asked, self._required, self.what)


def unique(report: Report, names: Iterable[tuple[str, Value]], what: str) -> None:
    """Each name once."""
    known: dict[str, Value] = {}
    for name, at in names:
        first = known.setdefault(name, at)
        if name and first is not at:
            report.add(at, f'{what} "{name}" is there already (line {first.line}); rename it')
