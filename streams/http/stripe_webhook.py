"""Where Stripe tells what became of payments. It has no key of ours: its signature is checked instead.

200 means that it is dealt with, also if it is about nothing of ours. Anything else is sent again by Stripe, for days.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.http.body import read_body
from streams.http.desk import Desk
from streams.http.endpoint import JSON
from streams.http.problems import Problem
from streams.metrics import HTTP_REQUESTS
from streams.payments.provider import NoAnswerError, WebhookError

PATH = "/v1/payments/stripe/webhook"


def routes(desk: Desk, refusal: Callable[[Exception], Response]) -> list[Route]:
    """The route; `refusal` writes what went wrong as an answer."""

    async def webhook(request: Request) -> Response:
        try:
            taken = await _take(desk, request)
        except Exception as error:
            response = refusal(error)
        else:
            response = Response(msgspec.json.encode({"taken": taken}), media_type=JSON)
        HTTP_REQUESTS.labels("POST", PATH, str(response.status_code)).inc()
        return response

    return [Route(PATH, webhook, methods=["POST"])]


async def _take(desk: Desk, request: Request) -> bool:
    """Whether it was about a payment of ours."""
    payments = desk.engine.desks.payments
    provider = payments.providers.get("card")
    if provider is None:
        raise Problem("not-found", "nothing is paid by card here; see [payments] in the settings")
    body = await read_body(request, desk.settings.body_bytes_max)
    try:
        event = await provider.read_webhook(request.headers, body)
        return event is not None and await payments.desk.take(event) is not None
    except WebhookError as error:
        raise Problem("malformed", str(error), "Stripe-Signature") from error
    except NoAnswerError as error:
        raise Problem(
            "unavailable", f"Stripe does not say how it stands; send it again: {error}", retry_s=60
        ) from error
