"""Text that goes into SQL: literals, and the check that a person's query only reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rater.errors import PartsError

_READING = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")
#: Quoted text and comments, in which a semicolon means nothing.
_OPAQUE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0"})


def quote(text: str) -> str:
    """A string literal."""
    return f"'{text.translate(_ESCAPES)}'"


def only_reading(sql: str) -> str:
    """The query without its last semicolon; what hides a change behind WITH is left to the server's own `readonly`.

    Raises:
        PartsError: it is not one reading statement.
    """
    bare = _OPAQUE.sub(" ", sql).strip().rstrip(";").rstrip()
    word = bare.split(None, 1)[0].upper() if bare else ""
    if word.strip("(") not in _READING:
        raise PartsError(f"only reading queries ({', '.join(_READING)}) are asked here")
    if ";" in bare:
        raise PartsError("one query at a time")
    return sql.strip().rstrip(";")


def with_settings(sql: str, settings: Mapping[str, int]) -> str:
    """A reading query that carries its settings; other statements than SELECT take none."""
    if not _OPAQUE.sub(" ", sql).lstrip(" \n\t(")[:6].upper().startswith(("SELECT", "WITH")):
        return sql
    return f"{sql}\nSETTINGS {', '.join(f'{name} = {value}' for name, value in settings.items())}"
