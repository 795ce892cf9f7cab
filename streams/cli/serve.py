"""`rater serve`: the HTTP API."""

from __future__ import annotations

import click
import msgspec
import uvloop

from rater.settings import Settings
from streams.http.server import serve as serve_http
from streams.logs import set_up_logs


@click.command()
@click.option("--host", help="Address to listen on; of [http] if left out.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; of [http] if left out. 0 takes a free one.")
@click.pass_obj
def serve(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the HTTP API until stopped; docs are under /v1/docs.

    Prometheus metrics have a port of their own, 9464 unless RATER_METRICS_PORT says otherwise; 0 is none.
    """
    set_up_logs()
    http = settings.http
    http = msgspec.structs.replace(http, host=host or http.host, port=http.port if port is None else port)
    uvloop.run(serve_http(msgspec.structs.replace(settings, http=http)))
