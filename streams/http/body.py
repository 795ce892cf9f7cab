"""The body of a request, within limits of size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from streams.http.problems import Problem

#: A body that trickles in slower is given up.
BODY_S = 30.0


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The bytes of a request.

    Raises:
        Problem: there are too many, they are too slow, or the client left.
    """
    said = request.headers.get("content-length", "0")
    chunks, size = [], int(said) if said.isascii() and said.isdigit() else 0
    if size <= bytes_max:
        size = 0
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > bytes_max:
                        break
        except TimeoutError:
            raise Problem("too-slow", f"the body did not arrive within {BODY_S:.0f} s") from None
        except ClientDisconnect:
            raise Problem("malformed", "the client left before its body was whole") from None
    if size > bytes_max:
        raise Problem("too-large", f"a body has at most {bytes_max} bytes")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
