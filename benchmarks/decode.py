"""Part 1: from raw bytes to a checked usage event, for each format."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from benchmarks.figures import Part
from benchmarks.run import Run, cpu_us
from benchmarks.traffic import traffic
from schemas.decode import decoder
from schemas.sample import TENANT
from streams.usage_file import UsageFile


async def decode(run: Run) -> Part:
    """Records of the sample and of the load generator, repeats and damage included."""
    part = Part("Decode and check one event (processor time)")
    emnify, once, rows = run.sample_files(run.sizes.file_events)
    plain = [value for _, value in traffic("decode", run.sizes.events, 1000).messages]
    formats = {
        "plain JSON": ("usage", plain),
        "CloudEvents": ("cloudevents", [_cloud_event(value) for value in plain]),
        "emnify JSON": ("emnify", _records(run, emnify)),
        "1NCE JSON": ("1nce", _records(run, once)),
        "emnify CSV row": ("emnify", _records(run, rows)),
        "auto, plain JSON": ("auto", plain),
        "auto, emnify JSON": ("auto", _records(run, emnify)),
    }
    for name, (form, values) in formats.items():
        part.add(name, "us/event", *cpu_us(decoder(form, TENANT), values, run.sizes.runs))
    return part


def _records(run: Run, path: Path) -> list[bytes]:
    return list(islice(UsageFile(path).records(), run.sizes.events))


def _cloud_event(plain: bytes) -> bytes:
    try:
        event = json.loads(plain)
    except ValueError:
        return plain
    envelope = {"specversion": "1.0", "type": "usage", "id": event.pop("id"), "source": event.pop("source")}
    envelope |= {"tenant": event.pop("tenant"), "datacontenttype": "application/json", "data": event}
    return json.dumps(envelope, separators=(",", ":")).encode()
