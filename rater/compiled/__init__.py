"""The hot path compiled by Cython, where the machine that installed the engine could.

From the bytes of an event to its wallet entry, the wallets' call, the records. Each part has a twin in Python that says
what it does and why, and does the same, only slower; tests hold them together. The compiled one is at work unless
`INTERPRETED_RATER=1` is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeVar

PARTS: Final = (
    "blake2b", "call", "call_rows", "charged", "column", "digests", "event", "fields", "lane", "price", "recent",
    "rows", "scan", "scanned", "sift", "streamer", "streamer_scan", "text",
)  # fmt: skip

#: Whether the compiled parts are at work.
IS_ON: Final = os.environ.get("INTERPRETED_RATER", "0") in ("", "0") and all(
    find_spec(f"{__name__}.{part}") for part in PARTS
)

#: What a compiled one stands in for, by name.
INTERPRETED: Final[dict[str, Callable[..., Any]]] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


def twin(part: str) -> Callable[[Function], Function]:
    """Let the function or class of the same name in a compiled part stand in for this one, where it can."""

    def chosen(function: Function) -> Function:
        INTERPRETED[function.__name__] = function
        if not IS_ON:
            return function
        found: Function = getattr(import_module(f"{__name__}.{part}"), function.__name__)
        return found

    return chosen
