"""`rater worker`: the Faust worker."""

from __future__ import annotations

import click

from rater.settings import Settings
from streams.app import create_app
from streams.logs import set_up_logs


@click.command()
@click.pass_obj
def worker(settings: Settings) -> None:
    """Rate usage from Kafka until stopped; any number of workers share the partitions."""
    set_up_logs()
    settings.data.mkdir(parents=True, exist_ok=True)  # Faust makes its folder, and none above it
    app = create_app(settings)
    program = app.Worker(loglevel="warning", override_logging=False, redirect_stdouts=False, quiet=True)
    program.spinner = None  # it writes on standard output, which belongs to whoever started the worker
    program.execute_from_commandline()
