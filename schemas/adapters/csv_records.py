"""Rows of the Data Streamer's CSV files (AWS S3: `cdr_*.csv`), each as one raw record of its own.

A row is passed on as a JSON object from column name to cell, all text, nothing left out and nothing interpreted: so a
row that turns out wrong is kept whole, and errors name the file's own columns. Columns, as documented at
https://help.1nce.com/docs/platform-services/platform-services-data-streamer (AWS integration; the same files come from
emnify, https://cdn.emnify.net/api/doc/2019-10-04-data-streamer-upgrade.html):

    id, event_start_timestamp, event_stop_timestamp, organisation_id, organisation_name, endpoint_id, sim_id, iccid,
    imsi, operator_id, operator_name, country_id, operator_country_name, traffic_type_id, traffic_type_description,
    volume, volume_tx, volume_rx, cost, currency_id, currency_code, currency_symbol, ratezone_tariff_id,
    ratezone_tariff_name, ratezone_id, ratezone_name, endpoint_name, endpoint_ip_address, endpoint_tags, endpoint_imei,
    msisdn_msisdn, sim_production_date, operator_mncs, country_mcc

A row is a line: a broken quote costs its own row only, and a quoted line break is not understood.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from rater import compiled

#: The JSON records' names, written flat, for the columns that matter.
ALIASES: Final = {
    "start_timestamp": "event_start_timestamp",
    "end_timestamp": "event_stop_timestamp",
    "sim_iccid": "iccid",
    "sim_msisdn": "msisdn_msisdn",
    "msisdn": "msisdn_msisdn",
    "imsi_imsi": "imsi",
    "traffic_type": "traffic_type_id",
    "operator_mnc": "operator_mncs",
    "operator_country_mcc": "country_mcc",
    "volume_total": "volume",
    "ipcan_session_id": "session_id",
}
#: Where a row that does not fit its header says so; the decoder refuses it.
ROW_ERROR: Final = "row_error"


class CsvRecords:
    """The rows of one file, each as one JSON object."""

    def __init__(self) -> None:
        self._header: list[str] | None = None
        self._names: list[bytes] = []

    def take(self, lines: Iterable[bytes]) -> list[bytes]:
        """The records of the file's next lines; its first line is the header."""
        rows = [row for line in lines if (row := line.rstrip(b"\r\n"))]
        if self._header is None and rows:
            self._header = header = _header(rows.pop(0))
            self._names = [msgspec.json.encode(name) + b":" for name in header] if len({*header}) == len(header) else []
        return [plain_row(self._names, row) or _record(self._header or [], row) for row in rows]


@compiled.twin("rows")
def plain_row(_names: Sequence[bytes], _line: bytes) -> bytes | None:
    """A plain row as a JSON object, by the names as JSON with their colons; None where that has to be found out."""
    return None


def _header(line: bytes) -> list[str]:
    cells, _ = _cells(line.removeprefix(b"\xef\xbb\xbf"))
    names = [cell.strip().lower().replace(".", "_") for cell in cells]
    return [ALIASES.get(name, name) for name in names]


def _record(header: Sequence[str], line: bytes) -> bytes:
    cells, wrong = _cells(line)
    if not wrong and len(cells) != len(header):
        wrong = f"{len(cells)} cells where the header names {len(header)}"
    record: dict[str, str] = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
    if wrong:
        record[ROW_ERROR] = wrong
        record["row"] = line.decode("utf-8", "backslashreplace")
    return msgspec.json.encode(record)


def _cells(line: bytes) -> tuple[list[str], str]:
    """The cells of one line, and what is wrong with it if something is."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return [], "not valid UTF-8"
    if '"' not in text:
        return text.split(","), ""
    try:
        return next(csv.reader([text], strict=True)), ""
    except csv.Error as error:
        return [], f"not a row of CSV: {error}"
