"""`/healthz`: the process answers. `/readyz`: it can also decide, so send it requests. Neither needs a key."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.http.desk import Desk
from streams.http.endpoint import JSON
from streams.http.problems import MEDIA_TYPE, Problem

#: A part that takes longer is not ready.
ASK_S = 2.0


def routes(desk: Desk) -> list[Route]:
    """The two routes."""

    async def healthz(_: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type=JSON)

    async def readyz(_: Request) -> Response:
        try:
            desk.engine.crew.check()
            async with asyncio.timeout(ASK_S):
                await desk.engine.parts.redis.ping()
        except Exception as error:  # whatever it is, this process cannot decide usage now
            problem = Problem("unavailable", f"not ready: {type(error).__name__}")
            return Response(problem.body(), problem.status, media_type=MEDIA_TYPE)
        return Response(msgspec.json.encode({"status": "ready"}), media_type=JSON)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
