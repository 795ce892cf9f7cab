"""Text that goes into SQL: literals, and the check that a person's query only reads."""

from __future__ import annotations

import re

from rater.errors import PartsError

_READING = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")
#: Quoted text and comments, in which a semicolon means nothing.
_OPAQUE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0"})


def quote(text: str) -> str:
    """A string literal."""
    return f"'{text.translate(_ESCAPES)}'"


def only_reading(sql: str, seconds_max: int) -> str:
    """The query with the server told to change nothing and to stop in time.

    Raises:
        PartsError: it is not one reading statement.
    """
    bare = _OPAQUE.sub(" ", sql).strip().rstrip(";").rstrip()
    word = bare.split(None, 1)[0].upper() if bare else ""
    if word.strip("(") not in _READING:
        raise PartsError(f"only reading queries ({', '.join(_READING)}) are asked here")
    if ";" in bare:
        raise PartsError("one query at a time")
    body = sql.strip().rstrip(";")
    if word.strip("(") not in ("SELECT", "WITH"):
        return body
    return f"{body}\nSETTINGS readonly = 1, max_execution_time = {seconds_max}"
