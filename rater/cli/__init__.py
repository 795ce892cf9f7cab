"""The command line: `rater COMMAND`. Each command is loaded only when it is asked for, so that `--help` is quick."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import click

from rater.errors import RaterError
from rater.settings import load_settings

#: Commands by name: where they are, and their line in the help.
COMMANDS = {
    "demo": ("streams.cli.demo:demo", "Rate the bundled sample and say what came of it."),
    "run": ("streams.cli.run:run", "Rate usage from files; resumable, safe to run twice."),
    "load": ("streams.cli.load:load", "Offer made-up usage to an installation, over Kafka, HTTP or as a file."),
    "worker": ("streams.cli.worker:worker", "Rate usage from Kafka until stopped."),
    "serve": ("streams.cli.serve:serve", "Serve the HTTP API until stopped."),
    "key": ("streams.cli.key:key", "Make, list and revoke keys of the HTTP API."),
    "writer": ("streams.cli.writer:writer", "Write the topics to ClickHouse until stopped."),
    "summary": ("streams.cli.summary:summary", "What was rated so far, from ClickHouse."),
    "account": ("rater.cli.account:account", "Make and change accounts, their people and wallets."),
    "wallet": ("rater.cli.wallet:wallet", "Create, top up, hold and look at wallets."),
    "sim": ("rater.cli.sim:sim", "Add, move and look at SIMs."),
    "parked": ("streams.cli.parked:parked", "List and replay events that wait for a repair."),
    "tariff": ("rater.cli.tariff:tariff", "Check tariff files: every mistake at once."),
    "plan": ("rater.cli.plan:plan", "Check plan files, and show what a plan says."),
    "clock": ("streams.cli.clock:clock", "Move the clock of an embedded engine ahead, to try plans."),
    "quote": ("rater.cli.quote:quote", "Rate usage without touching a wallet."),
    "query": ("streams.cli.query:query", "Ask ClickHouse, read only."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; the engine's own errors are sentences, not tracebacks."""
        try:
            return super().invoke(ctx)
        except RaterError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rater")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file (config/rater.toml).")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the embedded parts.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, data: Path | None) -> None:
    """Usage rating engine: rates telecom usage, debits prepaid wallets, suspends SIMs at zero."""
    environ = dict(os.environ)
    if data is not None:
        environ["RATER_ENGINE_DATA"] = str(data)
    ctx.obj = load_settings(config, environ)
