"""Settings: what is shipped is the default, the environment goes before the file, and an error names what is wrong."""

from __future__ import annotations

import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from rater.errors import SettingError
from rater.settings import CONFIG, IntakeSettings, Settings, load_settings
from rater.wallet.member import COUNTER_DAYS

SHIPPED = CONFIG / "rater.toml"
SECTIONS = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def test_the_shipped_file_says_the_defaults() -> None:
    assert load_settings(environ={}) == load_settings(SHIPPED, {}) == Settings()


def test_the_shipped_file_names_every_setting() -> None:
    """As a value, or commented out where the default is none."""
    named = re.sub(r"^# (\w+ = )", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)
    keys = {section: set(table) for section, table in tomllib.loads(named).items()}
    assert keys == {
        section: {field.name for field in msgspec.structs.fields(type_)} for section, type_ in SECTIONS.items()
    }


def test_what_a_file_leaves_out_stays_at_its_default(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[engine]\nshards = 3\n[metrics]\nhost = "0.0.0.0"\n')
    settings = load_settings(file, {})
    assert (settings.engine.shards, settings.metrics.host) == (3, "0.0.0.0")
    assert settings.engine.mode == "embedded"
    assert settings.kafka == Settings().kafka


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[engine]\nshards = 3\n")
    assert load_settings(environ={"RATER_CONFIG": str(file)}).engine.shards == 3
    assert load_settings(SHIPPED, {"RATER_CONFIG": str(file)}).engine.shards == 8, "what is asked for goes first"


def test_a_variable_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[redis]\nurl = "redis://file:6379/0"\n[intake]\nbatch_events = 10\n')
    settings = load_settings(
        file,
        {
            "RATER_REDIS_URL": "redis://environment:6379/0",
            "RATER_REDIS_CLUSTER": "true",
            "RATER_INTAKE_TOO_OLD_DAYS": "40",
            "RATER_CLICKHOUSE_WRITER": "False",
            "RATER_INTAKE_CLOCK": "2026-11-01T01:00:00+01:00",
            "HOME": "/",
        },
    )
    assert (settings.redis.url, settings.redis.cluster) == ("redis://environment:6379/0", True)
    assert (settings.intake.batch_events, settings.intake.too_old_days) == (10, 40)
    assert settings.clickhouse.writer is False
    assert settings.intake.clock == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[engine]\nmoed = 1\n", ["moed", "engine"]),
        ("[engines]\n", ["engines"]),
        ("shards = 8\n", ["shards"]),
        ("engine = 8\n", ["engine"]),
        ("[engine]\nshards = 0\n", ["engine.shards", ">= 1"]),
        ('[engine]\nmode = "cloud"\n', ["engine.mode", "cloud"]),
        ("[intake]\nbatch_events = 4001\n", ["intake.batch_events", "4000"]),
        ("[intake]\ntoo_old_days = 94\n", ["intake.too_old_days", "93"]),
        ('[intake]\nclock = "2026-11-01T00:00:00"\n', ["intake.clock", "timezone"]),
        ("[metrics]\nport = 65536\n", ["metrics.port", "65535"]),
        ('[redis]\ncluster = "perhaps"\n', ["redis.cluster"]),
        ("[engine\n", ["line 1"]),
        ("[engine]\nmode = 'embedded'\nmode = 'embedded'\n", ["line 3"]),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it_and_the_setting(tmp_path: Path, text: str, named: list[str]) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as error:
        load_settings(file, {})
    for part in [str(file), *named]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("RATER_ENGINE_SHARDS", "many", ["engine.shards"]),
        ("RATER_ENGINE_DURABILITY", "disk", ["engine.durability", "disk"]),
        ("RATER_METRICS_PORT", "-1", ["metrics.port", ">= 0"]),
        ("RATER_CLICKHOUSE_WRITER", "perhaps", ["clickhouse.writer"]),
        ("RATER_INTAKE_CLOCK", "yesterday", ["intake.clock"]),
        ("RATER_INTAKE_TOO_OLD_DAYS", "", ["intake.too_old_days"]),
        # Names of no setting: a slip of the pen must not leave the default in force.
        ("RATER_REDIS_URI", "redis://r", ["RATER_REDIS_URI"]),
        ("RATER_REDIS", "redis://r", ["RATER_REDIS "]),
        ("RATER_DATA", "data", ["RATER_DATA", "RATER_ENGINE_..."]),
        ("RATER_", "", ["RATER_ "]),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(name: str, value: str, named: list[str]) -> None:
    with pytest.raises(SettingError) as error:
        load_settings(environ={name: value})
    for part in named:
        assert part in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, garbled = tmp_path / "missing.toml", tmp_path / "garbled.toml"
    garbled.write_bytes(b'[engine]\ndata = "\xff"\n')
    for file in (missing, garbled, tmp_path):
        with pytest.raises(SettingError, match=re.escape(str(file))):
            load_settings(file, {})


def test_a_variable_does_not_hide_that_its_section_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("engine = 8\n")
    with pytest.raises(SettingError, match="engine"):
        load_settings(file, {"RATER_ENGINE_SHARDS": "3"})


def test_intakes_clock_can_be_held() -> None:
    clock = Settings(intake=IntakeSettings(clock=datetime(2026, 11, 1, 0, 0, 0, 250_000, tzinfo=UTC))).clock()
    assert clock() == clock() == 1_793_491_200_250


def test_intakes_clock_is_the_time_of_day_unless_held() -> None:
    before_ms = time.time_ns() // 1_000_000
    assert before_ms <= Settings().clock()() <= time.time_ns() // 1_000_000


def test_the_counters_of_the_latest_usage_are_still_kept(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[intake]\ntoo_old_days = 93\n")
    longest_cycle = 31
    assert longest_cycle + load_settings(file, {}).intake.too_old_days < COUNTER_DAYS
