"""What is wrong with an event, said so that a person can find and repair it."""

from __future__ import annotations

import re

import msgspec

from schemas.fates import Reason

#: Tenant, source, id; "" where it could not be read.
Identity = tuple[str, str, str]
NOBODY: Identity = ("", "", "")

_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)


class UsageError(ValueError):
    """An event that cannot be used. `field` is its path in the source's own format ("volume.total", "sim.iccid").

    `reason` is MALFORMED (no event can be read), INVALID (a field is wrong) or TOO_LARGE.
    """

    def __init__(self, field: str, detail: str, reason: Reason = Reason.INVALID, identity: Identity = NOBODY) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.field = field
        self.detail = detail
        self.reason = reason
        self.identity = identity


def explain(error: Exception, prefix: str = "") -> UsageError:
    """Turn what the JSON decoder raised into field, detail and reason. `prefix` is the path of what was decoded."""
    if isinstance(error, UsageError):
        return error
    if isinstance(error, msgspec.ValidationError):
        return _invalid(str(error), prefix)
    if isinstance(error, UnicodeDecodeError):
        return UsageError(prefix.rstrip("."), "not valid UTF-8", Reason.MALFORMED)
    if isinstance(error, RecursionError):
        return UsageError(prefix.rstrip("."), "nested too deeply", Reason.MALFORMED)
    return UsageError(prefix.rstrip("."), f"not valid JSON: {error}", Reason.MALFORMED)


def _invalid(text: str, prefix: str) -> UsageError:
    message, _, at = text.rpartition(" - at `$")
    if not message:
        message, at = text, ""
    path = at.removesuffix("`").lstrip(".")
    inner = f"{prefix}{path}." if path else prefix
    if found := _MISSING.match(message):
        return UsageError(inner + found["name"], "missing")
    if found := _UNKNOWN.match(message):
        return UsageError(inner + found["name"][:64], "unknown field; is it a typing error?")
    if not path and message.startswith("Expected `object`"):
        return UsageError(prefix.rstrip("."), f"not an event: {_lower(message)}", Reason.MALFORMED)
    return UsageError(prefix + path, _lower(message))


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].replace("`", "").replace(" | null", "")
