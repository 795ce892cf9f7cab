"""The schema files say what the structs say."""

import json

from schemas.generate import DIALECT, FOLDER, STRUCTS, outdated


def test_the_schema_files_are_current() -> None:
    assert outdated() == []


def test_every_schema_file_belongs_to_a_struct_and_names_its_dialect() -> None:
    files = {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")
    }
    assert set(files) == set(STRUCTS)
    assert all(schema["$schema"] == DIALECT and schema["type"] == "object" for schema in files.values())


def test_the_schema_of_a_usage_event_has_the_rules_for_its_fields() -> None:
    schema = json.loads((FOLDER / "usage-event.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"tenant", "source", "id", "service", "start_time", "end_time"}
    assert schema["properties"]["iccid"]["anyOf"][0]["pattern"] == "^[0-9]{18,22}$"
    assert schema["properties"]["volume_bytes"]["anyOf"][0]["maximum"] == 2**53
