"""The shape of usage: all that decides a price but who, when and how much.

A fleet's events have few shapes (data on one network, calls to one range of numbers), so what follows from a shape is
worked out once: whether its fields fulfil the rules, which rate answers, how a record spells it. A `Shape` is only made
of usage that fulfils every rule, so finding one is also the check of its fields, of all but the called number: numbers
are many, so a shape has the class of one (rater.tariff.numbers), which stands for all numbers that are rated alike.
"""

from __future__ import annotations

from typing import Final, Protocol

from schemas.usage import Direction, Service, Usage

#: Shapes kept; the memory is emptied when full.
SHAPES_MAX: Final = 65_536

ShapeKey = tuple[Service, str | None, Direction, str | None, str | None, str | None, str | None, str | None]


class Shaped(Protocol):
    """What a shape is read from: a Usage, an event in plain JSON, or a shape."""

    @property
    def service(self) -> Service: ...  # noqa: D102

    @property
    def kind(self) -> str | None: ...  # noqa: D102

    @property
    def direction(self) -> Direction: ...  # noqa: D102

    @property
    def mcc(self) -> str | None: ...  # noqa: D102

    @property
    def mnc(self) -> str | None: ...  # noqa: D102

    @property
    def country(self) -> str | None: ...  # noqa: D102

    @property
    def called_number(self) -> str | None: ...  # noqa: D102

    @property
    def destination_country(self) -> str | None: ...  # noqa: D102


class Shape:
    """The shape of some usage that fulfils every rule; the same fields are the same object while it is remembered."""

    __slots__ = (
        "called_number", "country", "destination_country", "direction", "kind", "mcc", "mnc", "service", "text",
    )  # fmt: skip

    def __init__(self, key: ShapeKey) -> None:
        (self.service, self.kind, self.direction, self.mcc, self.mnc, self.country, self.called_number,
         self.destination_country) = key  # fmt: skip
        #: All of it but the number as text, unambiguous, for digests.
        self.text = repr((*key[:6], key[7]))


def shape_key(usage: Shaped, number: str | None) -> ShapeKey:
    """What tells shapes apart; `number` is the class of the called number."""
    return (
        usage.service, usage.kind, usage.direction, usage.mcc, usage.mnc, usage.country, number,
        usage.destination_country,
    )  # fmt: skip


class Shapes:
    """The shapes seen so far."""

    def __init__(self) -> None:
        self._known: dict[ShapeKey, Shape] = {}
        #: The shape of a key, None for one not seen yet (or forgotten).
        self.get = self._known.get

    def of(self, usage: Usage, number: str | None) -> Shape:
        """The shape of usage that was checked."""
        key = shape_key(usage, number)
        shape = self._known.get(key)
        if shape is None:
            if len(self._known) >= SHAPES_MAX:
                self._known.clear()
            shape = self._known[key] = Shape(key)
        return shape
