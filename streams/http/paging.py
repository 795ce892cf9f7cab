"""Cursors: where the next page begins, opaque to the client. Nothing is kept for them, so they never go out of date."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from streams.http.problems import Problem

PAGE_MAX = 1000

T = TypeVar("T")


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every endpoint takes as a parameter."""

    tenant: Annotated[str, Meta(max_length=128, description="For admin keys without a tenant: whose it is.")] = ""


class PageQuery(Query, frozen=True, forbid_unknown_fields=True):
    """A page of a list."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX, description="So many at most.")] = 100
    cursor: Annotated[str, Meta(max_length=1000, description="`next` of the page before.")] = ""


def cursor_of(place: Any) -> str:
    """A place in a list as text for an address."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def place_of(cursor: str, kind: type[T]) -> T | None:
    """The place a cursor stands for, None for the beginning.

    Raises:
        Problem: it is none of ours.
    """
    if not cursor:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (binascii.Error, ValueError) as error:
        raise Problem("invalid", "this is no cursor that the API gave out", "cursor") from error
