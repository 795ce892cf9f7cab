"""Settings: one documented file (config/rater.toml), environment overrides, and an error that names what is wrong.

`RATER_REDIS_URL` overrides `url` in `[redis]`, `RATER_INTAKE_TOO_OLD_DAYS` `too_old_days` in `[intake]`, and so on.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rater import clock
from rater.errors import SettingError

#: Where the data files of this package stand: beside the package, in a checkout and when installed.
CONFIG = Path(__file__).resolve().parent.parent / "config"

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file; a key it does not know is an error."""


class EngineSettings(Section, frozen=True):
    """What runs where."""

    #: "embedded" starts Redis and ClickHouse from wheels; "distributed" uses the servers named below.
    mode: Literal["embedded", "distributed"] = "embedded"
    data: str = "data"
    catalogue: str = str(CONFIG)
    #: Fixed when the wallets are created.
    shards: Annotated[int, Meta(ge=1, le=1024)] = 8
    durability: Literal["process", "machine", "replica"] = "process"


class RedisSettings(Section, frozen=True):
    """The wallets' server, where the engine does not start its own."""

    url: str = "redis://127.0.0.1:6379/0"
    cluster: bool = False


class KafkaSettings(Section, frozen=True):
    """The topics in and out. `prefix` goes before every topic the engine writes ("rater.rated")."""

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password: str = ""
    #: Who signed the brokers' certificates; whom the system trusts if it is empty.
    ssl_ca_file: str = ""
    #: Our own certificate and its key, where brokers ask for one.
    ssl_cert_file: str = ""
    ssl_key_file: str = ""
    #: How the engine's own topics are compressed; usage is read whichever way it is.
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "none"
    usage_topic: str = "usage"
    commands_topic: str = "wallet-commands"
    group: str = "rater"
    prefix: str = "rater."
    partitions: Count = 8


class ClickHouseSettings(Section, frozen=True):
    """The invoicing store, where the engine does not start its own."""

    url: str = "clickhouse://default@127.0.0.1:9000/rater"
    #: Whether the engine starts a process that follows the topics into ClickHouse; one must run somewhere.
    writer: bool = True
    #: Usage older than `memory_days` is parked if its id cannot be looked up in this time.
    lookup_s: Annotated[float, Meta(gt=0, le=300)] = 5.0


class IntakeSettings(Section, frozen=True):
    """How usage comes in."""

    format: Literal["auto", "usage", "cloudevents", "emnify", "1nce"] = "auto"
    #: For formats that carry none.
    tenant: str = ""
    source: str = ""
    batch_events: Annotated[int, Meta(ge=1, le=4000)] = 3000
    #: A SIM's counters are kept for 125 days (rater/wallet/member.py): the longest cycle and this must lie within.
    too_old_days: Annotated[int, Meta(ge=1, le=93)] = 90
    future_hours: Count = 24
    #: Ids are remembered in Redis at least this long; older ones are looked up in ClickHouse.
    memory_days: Count = 3
    #: Intake's clock held at this instant, to replay old usage as if it came then; empty is the time of day.
    clock: Annotated[datetime, Meta(tz=True)] | None = None


class MetricsSettings(Section, frozen=True):
    """Where Prometheus scrapes; port 0 switches it off."""

    host: str = "127.0.0.1"
    port: Port = 9464


class HttpSettings(Section, frozen=True):
    """The HTTP API (`rater serve`)."""

    host: str = "127.0.0.1"
    port: Port = 8080
    body_bytes_max: Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    #: Events in one request.
    batch_max: Annotated[int, Meta(ge=1, le=4000)] = 4000
    #: Of one API key, in this process; 0 is no limit.
    requests_per_second: Annotated[int, Meta(ge=0)] = 500


class WebhookSettings(Section, frozen=True):
    """Webhooks, sent by `rater serve` and `rater worker`; any number of them share the work."""

    enabled: bool = True
    #: Private addresses and plain HTTP are allowed: for tests and local trials only.
    allow_private: bool = False
    #: Requests under way at once: to one endpoint (from all processes), and from this process.
    endpoint_concurrency: Annotated[int, Meta(ge=1, le=100)] = 8
    concurrency: Annotated[int, Meta(ge=1, le=2000)] = 200
    #: An answer must come within.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    #: Deliveries kept in the log of an endpoint, about 1 kB of Redis each.
    log_max: Annotated[int, Meta(ge=10, le=100_000)] = 1_000
    #: An endpoint with so many deliveries waiting is disabled: nothing may fill Redis. A wallet that runs dry makes one
    #: for each of its SIMs.
    backlog_max: Annotated[int, Meta(ge=10, le=10_000_000)] = 100_000


class PaymentSettings(Section, frozen=True):
    """Payments. Without a key there are none by card; the secrets are better set in the environment than in a file."""

    stripe_key: str = ""
    #: The signing secret of the endpoint at which Stripe sends its webhooks.
    stripe_webhook_secret: str = ""
    #: Another address than Stripe's own, for tests.
    stripe_api_base: str = ""


class Settings(Section, frozen=True):
    """All settings; the defaults run everything on one machine."""

    engine: EngineSettings = EngineSettings()
    redis: RedisSettings = RedisSettings()
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    intake: IntakeSettings = IntakeSettings()
    metrics: MetricsSettings = MetricsSettings()
    http: HttpSettings = HttpSettings()
    webhooks: WebhookSettings = WebhookSettings()
    payments: PaymentSettings = PaymentSettings()

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.engine.data)

    def clock(self) -> Callable[[], int]:
        """Intake's clock in Unix milliseconds."""
        if self.intake.clock is not None:
            return clock.held(self.intake.clock)
        return clock.MovedClock(self.data) if self.engine.mode == "embedded" else clock.time_of_day


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file (the documented default without one), then the environment.

    Raises:
        SettingError: a key is unknown or a value is wrong; names it and where it was set.
    """
    path = path or (Path(environ["RATER_CONFIG"]) if "RATER_CONFIG" in environ else CONFIG / "rater.toml")
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingError(f"settings file {path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not even UTF-8
        raise SettingError(f"settings file {path}: {error}") from error
    for name, value in environ.items():
        if name.startswith("RATER_") and name != "RATER_CONFIG":
            _override(tables, name, value)
    try:
        return msgspec.convert(tables, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"settings ({path} and RATER_* variables): {error}") from error


def _override(tables: dict[str, Any], name: str, value: str) -> None:
    section, _, key = name.removeprefix("RATER_").lower().partition("_")
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    if section not in fields or key not in {field.name for field in msgspec.structs.fields(fields[section])}:
        known = ", ".join(f"RATER_{known.upper()}_..." for known in fields)
        raise SettingError(f"environment variable {name} names no setting; they begin with {known}")
    table = tables.setdefault(section, {})
    if isinstance(table, dict):  # else the file is wrong there, which is said of the whole
        table[key] = value
