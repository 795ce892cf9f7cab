"""A mistake in a file, and the list a check collects them in."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol

import msgspec


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One mistake: where it is, what is wrong and what to write instead.

    A `tolerable` one is reported, but does not keep the tariff from loading: the engine has an answer to it.
    """

    path: str
    line: int
    message: str
    tolerable: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Placed(Protocol):
    """Anything that stands on a line of a file."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def line(self) -> int:
        """The line, from 1."""


class Report:
    """The mistakes found so far; the same sentence about the same line is kept once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], Mistake] = {}

    def add(self, at: Placed, message: str, *, tolerable: bool = False) -> None:
        """Note a mistake at a place."""
        self._found.setdefault((at.path, at.line, message), Mistake(at.path, at.line, message, tolerable))

    @property
    def mistakes(self) -> list[Mistake]:
        """All of them, by file and line."""
        return sorted(self._found.values())


def nearest(word: str, known: Iterable[str], shown_max: int = 12) -> str:
    """What to write instead of an unknown word: the most similar known one, else those there are."""
    words = list(known)
    if not words:
        return "take it out"
    lower = {known_word.lower(): known_word for known_word in words}
    close = get_close_matches(word.lower(), lower, 1, cutoff=0.6)
    if close:
        return f'write "{lower[close[0]]}"'
    if len(words) > shown_max:
        return "take it out"
    return f"write one of {', '.join(words)}"
