"""Writes the JSON Schema (2020-12) of everything on the wire into schemas/*.schema.json, from the structs.

And the AsyncAPI document of the topics that carry it into schemas/asyncapi.json.

python -m schemas.generate          write them
python -m schemas.generate --check  only say whether they are current

"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from schemas import asyncapi
from schemas.adapters.cloudevents import CloudEvent, CloudEventData
from schemas.adapters.usage_json import UsageEvent
from schemas.commands import WalletCommand
from schemas.faults import DeadLetter, ParkedEvent
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice
from schemas.rated import RatedRecord
from schemas.webhook import WebhookMessage

#: File name (without ".schema.json") and what it describes.
STRUCTS: Final[dict[str, type[msgspec.Struct]]] = {
    "usage-event": UsageEvent,
    "usage-cloudevent": CloudEvent,
    "usage-cloudevent-data": CloudEventData,
    "rated-record": RatedRecord,
    "lifecycle-event": LifecycleEvent,
    "wallet-entry": WalletEntry,
    "wallet-command": WalletCommand,
    "parked-event": ParkedEvent,
    "dead-letter": DeadLetter,
    "webhook-message": WebhookMessage,
    "notice": Notice,
}
FOLDER: Final = Path(__file__).parent
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a struct as it stands on the wire."""
    inner = msgspec.json.schema(struct, schema_hook=_any)
    name = inner.pop("$ref").rpartition("/")[2]
    definitions = inner["$defs"]
    document = {"$schema": DIALECT, **definitions.pop(name)}
    return document | ({"$defs": definitions} if definitions else {})


def _any(kind: type) -> dict[str, Any]:
    """JSON that is passed on as it is (the data of a CloudEvent)."""
    assert kind is msgspec.Raw, f"{kind} has no JSON Schema"
    return {}


def documents() -> dict[Path, bytes]:
    """Every file and what belongs into it."""
    found = {FOLDER / f"{name}.schema.json": schema(struct) for name, struct in STRUCTS.items()}
    found[FOLDER / "asyncapi.json"] = asyncapi.document()
    return {path: msgspec.json.format(msgspec.json.encode(text), indent=2) + b"\n" for path, text in found.items()}


def outdated() -> list[Path]:
    """The files that do not say what the structs say."""
    return [path for path, text in documents().items() if not path.exists() or path.read_bytes() != text]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not current.")
def main(check: bool) -> None:
    """Write schemas/*.schema.json and schemas/asyncapi.json."""
    if check:
        if wrong := outdated():
            raise click.ClickException(
                f"not current: {', '.join(path.name for path in wrong)}; python -m schemas.generate"
            )
        return
    for path, text in documents().items():
        path.write_bytes(text)


if __name__ == "__main__":
    main()
