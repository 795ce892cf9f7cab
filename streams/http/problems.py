"""What is wrong with a request, as RFC 9457 says it: application/problem+json that names the field.

A `Problem` is raised anywhere below the app and becomes the answer there. `KINDS` is all there are: what a client may
have to tell apart has a name of its own, the sentence in `detail` is for a person.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rater.errors import AccountError, WalletError
from schemas.errors import UsageError, explain

MEDIA_TYPE: Final = "application/problem+json"

#: The last part of `type`, with the status and the title.
KINDS: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "The body is not JSON"),
    "no-key": (401, "An API key is needed"),
    "not-allowed": (403, "You may not do that"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "This method is not offered here"),
    "too-slow": (408, "The body did not arrive in time"),
    "conflict": (409, "This contradicts what stands already"),
    "too-large": (413, "More than is taken at once"),
    "media-type": (415, "This content type is not taken"),
    "invalid": (422, "A field is wrong"),
    "too-many": (429, "Too many requests"),
    "fault": (500, "Something is wrong inside the engine"),
    "unavailable": (503, "The engine cannot answer safely now"),
}

#: A step of a path as the decoder writes it: "usage[0].service".
_STEP = re.compile(r"[^.\[\]]+")


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """An error, by RFC 9457. `field` is the path of what is wrong: "amount", "/3/tenant", a header, a parameter."""

    type: str
    title: str
    status: int
    detail: str = ""
    field: str = ""


class Problem(Exception):  # noqa: N818 - so RFC 9457 calls it
    """The answer is an error. `retry_s`: when a repeat makes sense."""

    def __init__(self, kind: str, detail: str, field: str = "", *, retry_s: int = 0) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status, title = KINDS[kind]
        self.details = ProblemDetails(f"urn:rater:problem:{kind}", title, self.status, detail, field)
        self.headers = {"Retry-After": str(retry_s)} if retry_s else {}

    def body(self) -> bytes:
        """The answer's body."""
        return msgspec.json.encode(self.details)


def of_decoding(error: Exception) -> Problem:
    """What is wrong with a body or a parameter that is not the struct it should be."""
    wrong = explain(error)
    if isinstance(error, msgspec.ValidationError):
        inside = "[" in wrong.field or "." in wrong.field
        return Problem("invalid", wrong.detail, "/".join(["", *_STEP.findall(wrong.field)]) if inside else wrong.field)
    return Problem("malformed", wrong.detail)


def of_usage(error: UsageError, prefix: str) -> Problem:
    """What is wrong with a usage event that stands under `prefix` in the body."""
    return Problem("invalid", error.detail, f"{prefix}{error.field}")


def of_wallet(error: WalletError) -> Problem:
    """What the wallet or the directory says no to; its sentences begin with the field."""
    field, colon, detail = str(error).partition(": ")
    if not colon or " " in field:
        return Problem("conflict", str(error))
    kind = "invalid" if field == "amount" else "conflict"
    return Problem(kind, detail, "Idempotency-Key" if field == "id" else field)


def of_account(error: AccountError) -> Problem:
    """What an account says no to."""
    return Problem(error.why, error.detail, "Idempotency-Key" if error.field == "id" else error.field)
