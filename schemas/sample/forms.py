"""A usage record of the sample, and how each platform writes it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.sample.fleet import Sim
from schemas.sample.networks import COUNTRY_IDS, NETWORK_IDS, Network

MONTH_START_S: Final = 1_790_812_800  # 2026-10-01T00:00:00Z
MONTH_S: Final = 31 * 86_400

CSV_HEADER: Final = (
    '"id","event_start_timestamp","event_stop_timestamp","organisation_id","organisation_name","endpoint_id","sim_id",'
    '"iccid","imsi","operator_id","operator_name","country_id","operator_country_name","traffic_type_id",'
    '"traffic_type_description","volume","volume_tx","volume_rx","cost","currency_id","currency_code","currency_symbol",'
    '"ratezone_tariff_id","ratezone_tariff_name","ratezone_id","ratezone_name","endpoint_name","endpoint_ip_address",'
    '"endpoint_tags","endpoint_imei","msisdn_msisdn","sim_production_date","operator_mncs","country_mcc"'
)


@dataclass(slots=True)
class Drawn:
    """One record: data if `sms` is "", else "sent" or "received". Times are seconds after the month's start."""

    id: int
    sim: Sim
    network: Network
    start_s: int
    end_s: int
    sent_bytes: int
    received_bytes: int
    session: str
    sms: str = ""


def emnify_json(record: Drawn) -> str:
    """As emnify's stream: SMS counted from the platform's side, times with milliseconds."""
    total, tx, rx = _volumes(record, platform_side=True)
    return _json(record, f"{_time(record.start_s)}Z", f"{_time(record.end_s)}.000Z", total, tx, rx, (
        f'"session_id":"{record.session}","organisation":{{"id":10481,"name":"Nordwind Logistik"}},'
        f'"tariff":{{"id":1,"name":"Pay as you go","ratezone":{{"id":2,"name":"Area 2"}}}}'
    ))  # fmt: skip


def once_json(record: Drawn) -> str:
    """As 1NCE's stream: SMS counted from the device's side, no session."""
    total, tx, rx = _volumes(record, platform_side=False)
    return _json(record, f"{_time(record.start_s)}Z", f"{_time(record.end_s)}Z", total, tx, rx, (
        '"organisation":{"id":1234,"name":"8100482"},'
        '"tariff":{"id":398,"name":"1NCE Production 01","ratezone":{"id":2067,"name":"Rate Zone 2"}}'
    ))  # fmt: skip


def emnify_csv(record: Drawn) -> str:
    """As a row of the CSV files, times without a zone."""
    total, tx, rx = _volumes(record, platform_side=True)
    sim, network = record.sim, record.network
    traffic = ("6", "SMS") if record.sms else ("5", "Data")
    cells = (
        str(record.id), _time(record.start_s, " "), _time(record.end_s, " "), "10481", "Nordwind Logistik",
        str(90_000_000 + sim.number), str(3_000_000 + sim.number), sim.iccid, sim.imsi, str(NETWORK_IDS[network]),
        network.name, str(COUNTRY_IDS[network.country]), network.country.replace("_", " "), *traffic, total, tx, rx,
        f"{total}0000", "1", "EUR", "€", "1", "Pay as you go", "2", "Area 2", f"Device {sim.number}",
        f"10.64.{sim.number // 256}.{sim.number % 256}", "", f"86773005{sim.number:07d}", sim.msisdn,
        "2025-03-09 06:42:59", network.mnc, network.mcc,
    )  # fmt: skip
    return ",".join(f'"{cell}"' if cell else "" for cell in cells)


def megabytes(count: int) -> str:
    """Bytes as the platforms write them: MB with six decimals, exactly."""
    return f"{count // 1_000_000}.{count % 1_000_000:06d}"


def _json(record: Drawn, start: str, end: str, total: str, tx: str, rx: str, rest: str) -> str:
    sim, network = record.sim, record.network
    kind = '"id":6,"description":"SMS"' if record.sms else '"id":5,"description":"Data"'
    return (
        f'{{"cost":{total},"id":{record.id},"operator":{{"id":{NETWORK_IDS[network]},"name":"{network.name}",'
        f'"mnc":"{network.mnc}","country":{{"id":{COUNTRY_IDS[network.country]},"mcc":"{network.mcc}",'
        f'"name":"{network.country.replace("_", " ")}"}}}},"traffic_type":{{{kind}}},'
        f'"endpoint":{{"id":{90_000_000 + sim.number},"name":"Device {sim.number}",'
        f'"ip_address":"10.64.{sim.number // 256}.{sim.number % 256}","tags":null,"imei":"86773005{sim.number:07d}",'
        f'"balance":null}},"imsi":"{sim.imsi}","volume":{{"total":{total},"rx":{rx},"tx":{tx}}},'
        f'"start_timestamp":"{start}","sim":{{"id":{3_000_000 + sim.number},"iccid":"{sim.iccid}",'
        f'"msisdn":"{sim.msisdn}","production_date":"2025-03-09T06:42:59Z"}},'
        f'"currency":{{"id":1,"code":"EUR","symbol":"€"}},"end_timestamp":"{end}","imsi_id":{9_000_000 + sim.number},'
        f"{rest}}}"
    )


def _volumes(record: Drawn, *, platform_side: bool) -> tuple[str, str, str]:
    if not record.sms:
        sent, received = record.sent_bytes, record.received_bytes
        return megabytes(sent + received), megabytes(sent), megabytes(received)
    return ("1", "0", "1") if (record.sms == "sent") == platform_side else ("1", "1", "0")


def _time(second: int, separator: str = "T") -> str:
    day, second = divmod(second, 86_400)
    return f"2026-10-{day + 1:02d}{separator}{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
