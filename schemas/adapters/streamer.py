"""The usage record of the Data Streamer, which emnify and 1NCE share: JSON objects, and rows of its CSV files.

What differs between the two stands in a `Dialect` (see emnify.py and once.py). Fields that play no part in rating
(cost, tariff, endpoint ...) are skipped unread; the platforms announce that new ones may come.

Both publish volumes as DECIMAL(14,6) "in MB" and neither says how many bytes that is. Here 1 MB is 10^6 bytes: only
then are six decimals whole bytes (0.000001 MB is 1 byte; of 2^20 it would be 1.048576). 1NCE counts so elsewhere: in
https://help.1nce.com/platform-migration/feature-changes/data-service/ 100 bytes are "0.1 KB".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas.checks import check, unix_ms
from schemas.errors import UsageError
from schemas.fates import Reason
from schemas.usage import Direction, Service, Usage

DATA, SMS = 5, 6
BYTES_PER_MB: Final = Decimal(1_000_000)
#: 2^53 bytes, as MB; a first bound, so that "1e999999999" is refused before it is multiplied out.
_VOLUME_MAX: Final = Decimal(2**53)
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])


class TrafficType(msgspec.Struct, gc=False):
    """5 is data, 6 is SMS."""

    id: int


class Sim(msgspec.Struct, gc=False):
    """The SIM; MSISDN is E.164 without its plus sign."""

    iccid: str | None = None
    msisdn: str | None = None


class Country(msgspec.Struct, gc=False):
    """The visited network's mobile country code."""

    mcc: str | None = None


class Operator(msgspec.Struct, gc=False):
    """The visited network."""

    mnc: str | None = None
    country: Country | None = None


class Volume(msgspec.Struct, gc=False):
    """MB for data, a count for SMS."""

    total: Decimal
    tx: Decimal | None = None
    rx: Decimal | None = None


class Record(msgspec.Struct, gc=False):
    """The fields of a usage record that rating needs."""

    id: Annotated[int, Meta(ge=0)] | Annotated[str, Meta(min_length=1, max_length=256)]
    traffic_type: TrafficType
    start_timestamp: datetime
    end_timestamp: datetime
    volume: Volume
    sim: Sim | None = None
    imsi: str | None = None
    operator: Operator | None = None
    session_id: str | None = None
    ipcan_session_id: str | None = None
    row_error: Any = None


class Row(msgspec.Struct, gc=False):
    """A row of the CSV files, as schemas.adapters.csv_records passes it on: column name to cell."""

    id: str
    traffic_type_id: str
    event_start_timestamp: datetime
    event_stop_timestamp: datetime
    volume: Decimal
    volume_tx: Decimal | None = None
    volume_rx: Decimal | None = None
    iccid: str | None = None
    imsi: str | None = None
    msisdn_msisdn: str | None = None
    country_mcc: str | None = None
    operator_mncs: str | None = None
    session_id: str | None = None
    row_error: Any = None


@dataclass(frozen=True)
class Dialect:
    """What a platform does its own way."""

    source: str
    #: The member of `volume` that counts messages sent by the device (mobile originated); the other counts received.
    sms_sent: str


_RECORD_NAMES: Final = {
    "start_ms": "start_timestamp", "end_ms": "end_timestamp", "iccid": "sim.iccid", "msisdn": "sim.msisdn",
    "mcc": "operator.country.mcc", "mnc": "operator.mnc", "volume_bytes": "volume.total",
    "message_count": "volume.total", "traffic": "traffic_type.id", "volume": "volume.total",
    "tx": "volume.tx", "rx": "volume.rx",
}  # fmt: skip
_ROW_NAMES: Final = {
    "start_ms": "event_start_timestamp", "end_ms": "event_stop_timestamp", "iccid": "iccid", "msisdn": "msisdn_msisdn",
    "mcc": "country_mcc", "mnc": "operator_mncs", "volume_bytes": "volume", "message_count": "volume",
    "traffic": "traffic_type_id", "tx": "volume_tx", "rx": "volume_rx",
}  # fmt: skip

_NO_SIM: Final = Sim()
_NO_OPERATOR: Final = Operator()

_decode_record: Final = msgspec.json.Decoder(Record).decode
_decode_row: Final = msgspec.json.Decoder(Row).decode


def decode_record(raw: bytes, tenant: str, source: str, dialect: Dialect) -> Usage:
    """Decode one JSON object. `source` defaults to the platform's name."""
    record = _decode_record(raw)
    if record.row_error:
        raise UsageError("row", str(record.row_error)[:200], Reason.MALFORMED)
    sim, operator, volume = record.sim or _NO_SIM, record.operator or _NO_OPERATOR, record.volume
    country = operator.country
    # By place: by name it takes four times as long.
    return _usage(
        tenant, source or dialect.source, str(record.id), record.traffic_type.id, record.start_timestamp,
        record.end_timestamp, volume.total, volume.tx, volume.rx, sim.iccid, record.imsi, sim.msisdn,
        record.session_id or record.ipcan_session_id, country.mcc if country else None, operator.mnc,
        dialect.sms_sent, _RECORD_NAMES,
    )  # fmt: skip


def decode_row(raw: bytes, tenant: str, source: str, dialect: Dialect) -> Usage:
    """Decode one row of a CSV file."""
    row = _decode_row(raw)
    if row.row_error:
        raise UsageError("row", str(row.row_error)[:200], Reason.MALFORMED)
    if row.traffic_type_id not in ("5", "6"):
        raise UsageError("traffic_type_id", f"{ascii(row.traffic_type_id)[:40]} is neither 5 (data) nor 6 (SMS)")
    return _usage(
        tenant, source or dialect.source, row.id, int(row.traffic_type_id), row.event_start_timestamp,
        row.event_stop_timestamp, row.volume, row.volume_tx, row.volume_rx, row.iccid, row.imsi, row.msisdn_msisdn,
        row.session_id, row.country_mcc, row.operator_mncs, dialect.sms_sent, _ROW_NAMES,
    )  # fmt: skip


def _usage(
    tenant: str, source: str, id_: str, traffic: int, start: datetime, end: datetime, total: Decimal,
    tx: Decimal | None, rx: Decimal | None, iccid: str | None, imsi: str | None, msisdn: str | None,
    session_id: str | None, mcc: str | None, mnc: str | None, sms_sent: str, names: Mapping[str, str],
) -> Usage:  # fmt: skip
    """The event; an empty text is none."""
    volume_bytes = message_count = kind = None
    service: Service = "data"
    direction: Direction = "outgoing"
    try:
        if traffic == DATA:
            volume_bytes = exact_bytes(total, names)
        elif traffic == SMS:
            service, kind = "message", "sms"
            message_count, direction = _messages(total, tx, rx, sms_sent, names)
        else:
            raise UsageError(names["traffic"], f"{traffic} is neither 5 (data) nor 6 (SMS)")
    except UsageError as error:
        error.identity = (tenant, source, id_)
        raise
    usage = Usage(
        tenant, source, id_, service, _ms(start), _ms(end), kind, direction, None, iccid or None, imsi or None,
        msisdn if not msisdn or msisdn[0] == "+" else f"+{msisdn}", session_id or None, False, mcc or None,
        _one_network(mnc) if mcc else None, None, None, None, volume_bytes, None, message_count,
    )  # fmt: skip
    return check(usage, names)


def exact_bytes(megabytes: Decimal, names: Mapping[str, str] = _RECORD_NAMES) -> int:
    """Whole bytes of a volume in MB, exactly: Decimal("0.219933") is 219933."""
    wrong = "from 0 to 2^53"
    try:
        if 0 <= megabytes <= _VOLUME_MAX:
            number = _EXACT.multiply(megabytes, BYTES_PER_MB)
            whole = int(number)
            if whole == number:
                return whole
            wrong = "a whole number of"
    except ArithmeticError:  # not a number, or of more digits than anybody means
        wrong = "a whole number of"
    raise UsageError(names["volume_bytes"], f"{_shown(megabytes)} MB is not {wrong} bytes")


def _messages(
    volume: Decimal, tx: Decimal | None, rx: Decimal | None, sms_sent: str, names: Mapping[str, str]
) -> tuple[int, Direction]:  # fmt: skip
    total = _count(volume, names["message_count"])
    sent, received = (tx, rx) if sms_sent == "tx" else (rx, tx)
    sms_received = "rx" if sms_sent == "tx" else "tx"
    sent_count = _count(sent, names[sms_sent]) if sent is not None else 0
    received_count = _count(received, names[sms_received]) if received is not None else 0
    if sent_count + received_count != total:
        detail = f"{total} messages, but {sent_count} sent and {received_count} received"
        raise UsageError(names["message_count"], detail)
    if sent_count and received_count:
        raise UsageError(names["message_count"], "counts sent and received messages in one, which cost differently")
    return total, "incoming" if received_count else "outgoing"


def _count(number: Decimal, field: str) -> int:
    try:
        if 0 <= number <= _VOLUME_MAX:
            return int(_EXACT.to_integral_exact(number))
    except ArithmeticError as error:
        raise UsageError(field, f"{_shown(number)} is not a whole number of messages") from error
    raise UsageError(field, f"{_shown(number)} is not from 0 to 2^53")


def _shown(number: Decimal) -> str:
    text = str(number)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _ms(time: datetime) -> int:
    """Times are UTC in both platforms' documents; the CSV files write no zone."""
    return unix_ms(time if time.tzinfo else time.replace(tzinfo=UTC))


def _one_network(mnc: str | None) -> str | None:
    """The network code, unless several are listed (the CSV column is `operator_mncs`): then none is certain."""
    return None if not mnc or "," in mnc or " " in mnc else mnc
