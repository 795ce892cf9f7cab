"""One attempt: a signed POST, and what its answer means. Bounded in time and size; redirects are not followed."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, NamedTuple, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar

from rater.settings import WebhookSettings
from streams.webhooks.addresses import ForbiddenAddressError, connector
from streams.webhooks.delivery import Attempt
from streams.webhooks.endpoints import WebhookEndpoint
from streams.webhooks.signing import signed_headers

#: Read of an answer's body, so that its connection can serve again; an answer with more loses the connection.
ANSWER_BYTES: Final = 16 * 1024
#: Of a header line and of all of a header field.
HEADER_BYTES: Final = 8 * 1024
ERROR_CHARS: Final = 200


class Outcome(NamedTuple):
    """What came of an attempt. `pause_ms` is what the receiver asked for before the next."""

    attempt: Attempt
    pause_ms: int = 0

    @property
    def good(self) -> bool:
        """Whether it counts as delivered."""
        return not self.attempt.error


class Sender:
    """Sends, for as long as it is open. `sent_s` is the time of day in Unix seconds (see signing)."""

    def __init__(self, settings: WebhookSettings, clock_ms: Callable[[], int], sent_s: Callable[[], float] = time.time):
        self._settings = settings
        self._clock_ms = clock_ms
        self._sent_s = sent_s
        self._session: ClientSession

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=connector(allow_private=self._settings.allow_private),
            timeout=ClientTimeout(total=self._settings.timeout_s, sock_connect=min(5.0, self._settings.timeout_s)),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=ANSWER_BYTES,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            headers={"User-Agent": f"rater-webhooks/{version('rater')}", "Content-Type": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, endpoint: WebhookEndpoint, message_id: str, body: bytes, number: int) -> Outcome:
        """Make attempt `number`. Whatever goes wrong out there is an outcome, never an error."""
        now_ms, begun = self._clock_ms(), time.monotonic()
        status, pause_ms = 0, 0
        try:
            headers = signed_headers(endpoint, message_id, body, now_ms=now_ms, sent_s=int(self._sent_s()))
            async with self._session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as answer:
                status, pause_ms = answer.status, self._pause_ms(answer)
                await _read_bounded(answer)
            error = "" if 200 <= status < 300 else f"answered {status}"
        except TimeoutError:
            error = f"no answer within {self._settings.timeout_s:g} s" if not status else ""
        except (ClientError, ValueError, OSError, asyncio.IncompleteReadError) as failure:
            error = _said(failure) if not status else ""
        if not error and not 200 <= status < 300:
            error = f"answered {status}"
        took_ms = int((time.monotonic() - begun) * 1000)
        return Outcome(Attempt(number, now_ms, took_ms, status, error[:ERROR_CHARS]), pause_ms)

    def _pause_ms(self, answer: ClientResponse) -> int:
        """Retry-After, in seconds or as a date."""
        text = answer.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return int(text[:9]) * 1000
        try:
            at = email.utils.parsedate_to_datetime(text)
            return max(0, int((at.timestamp() - self._sent_s()) * 1000))
        except (ValueError, TypeError, OverflowError):
            return 0


async def _read_bounded(answer: ClientResponse) -> None:
    """The body is of no use; what is left of a long one is not read."""
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > ANSWER_BYTES:
            answer.close()
            return


def _said(failure: BaseException) -> str:
    """A failure in words. What is behind a refused address is nobody's business."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ForbiddenAddressError):
            return "the address is not public"
        cause = cause.__cause__ or cause.__context__
    return f"{type(failure).__name__}: {failure}"
