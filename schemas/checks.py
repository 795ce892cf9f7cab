"""What every usage event must fulfil beyond its types, whatever format it came in. The one place for these rules.

Each costs some tens of nanoseconds: they run for every event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn

import pycountry

from schemas.errors import UsageError
from schemas.usage import Usage

TEXT_MAX: Final = 256
#: Doubles, and so Lua in Redis, count exactly up to here: 9 petabytes, 285,000 years.
QUANTITY_MAX: Final = 2**53
EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
#: Usage is split at bands and periods, so an event may not be endless. emnify's published sample spans 660 days.
SPAN_MAX_MS: Final = 731 * 86_400_000

#: ISO 3166-1 alpha-2, and Kosovo's user-assigned code.
COUNTRIES: Final[frozenset[str]] = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT_CODE: Final = frozenset("0123456789*#")
_QUANTITIES: Final = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}
_NO_NAMES: Final[Mapping[str, str]] = {}


def unix_ms(time: datetime) -> int:
    """Whole milliseconds since 1970 of a time with a zone; parts of a millisecond are dropped."""
    span = time - _EPOCH
    return span.days * 86_400_000 + span.seconds * 1000 + span.microseconds // 1000


def check(usage: Usage, names: Mapping[str, str] = _NO_NAMES) -> Usage:
    """The event itself if it fulfils every rule, else a UsageError. `names` says how the source calls each field."""
    _check_text(usage, names)
    _check_subscriber(usage, names)
    _check_place(usage, names)
    start = usage.start_ms
    if not EARLIEST_MS <= start <= usage.end_ms <= start + SPAN_MAX_MS:
        _refuse_time(usage, names)
    _check_quantity(usage, names)
    return usage


def _check_text(usage: Usage, names: Mapping[str, str]) -> None:
    tenant, source, id_ = usage.tenant, usage.source, usage.id
    if not (0 < len(id_) <= TEXT_MAX) or "\0" in id_:
        _refuse_text(usage, names, "id", id_)
    if not (0 < len(source) <= TEXT_MAX) or "\0" in source:
        _refuse_text(usage, names, "source", source)
    if not (0 < len(tenant) <= TEXT_MAX) or "\0" in tenant:
        _refuse_text(usage, names, "tenant", tenant)
    session, kind, subscriber = usage.session_id, usage.kind, usage.subscriber
    if session is not None and (not (0 < len(session) <= TEXT_MAX) or "\0" in session):
        _refuse_text(usage, names, "session_id", session)
    if kind is not None and (not (0 < len(kind) <= TEXT_MAX) or "\0" in kind):
        _refuse_text(usage, names, "kind", kind)
    if subscriber is not None and (not (0 < len(subscriber) <= TEXT_MAX) or "\0" in subscriber):
        _refuse_text(usage, names, "subscriber", subscriber)


def _check_subscriber(usage: Usage, names: Mapping[str, str]) -> None:
    iccid, imsi, msisdn = usage.iccid, usage.imsi, usage.msisdn
    if iccid is not None and not (18 <= len(iccid) <= 22 and iccid.isascii() and iccid.isdigit()):
        _refuse(usage, names, "iccid", f"{_shown(iccid)} is not an ICCID: 18 to 22 digits (ITU-T E.118)")
    if imsi is not None and not is_imsi(imsi):
        _refuse(usage, names, "imsi", f"{_shown(imsi)} is not an IMSI: 6 to 15 digits (ITU-T E.212)")
    if msisdn is not None and not is_e164(msisdn):
        _refuse(usage, names, "msisdn", f"{_shown(msisdn)} is not an E.164 number: + and 5 to 15 digits")
    if iccid is None and imsi is None and msisdn is None and usage.subscriber is None:
        field = "iccid" if "iccid" in names else "subscriber"
        _refuse(usage, names, field, "no subscriber: give an ICCID, an IMSI, an MSISDN or the platform's own id")


def _check_place(usage: Usage, names: Mapping[str, str]) -> None:
    mcc, mnc, country = usage.mcc, usage.mnc, usage.country
    if mcc is not None and not (len(mcc) == 3 and mcc.isascii() and mcc.isdigit()):
        _refuse(usage, names, "mcc", f"{_shown(mcc)} is not a mobile country code: three digits (ITU-T E.212)")
    if mnc is not None:
        if not (2 <= len(mnc) <= 3 and mnc.isascii() and mnc.isdigit()):
            _refuse(usage, names, "mnc", f"{_shown(mnc)} is not a mobile network code: two or three digits")
        if mcc is None:
            _refuse(usage, names, "mcc", "missing: a network code says nothing without its country code")
    if country is not None and country not in COUNTRIES:
        _refuse(usage, names, "country", f"{_shown(country)} is not an ISO 3166-1 alpha-2 country code")
    to_country, called = usage.destination_country, usage.called_number
    if to_country is not None and to_country not in COUNTRIES:
        _refuse(usage, names, "destination_country", f"{_shown(to_country)} is not an ISO 3166-1 alpha-2 country code")
    if called is not None and not (is_e164(called) or (2 <= len(called) <= 8 and _SHORT_CODE.issuperset(called))):
        detail = f"{_shown(called)} is neither an E.164 number (+ and 5 to 15 digits) nor a short code of 2 to 8 digits"
        _refuse(usage, names, "called_number", detail)


def _check_quantity(usage: Usage, names: Mapping[str, str]) -> None:
    volume, duration, count = usage.volume_bytes, usage.duration_ms, usage.message_count
    if (volume is not None) + (duration is not None) + (count is not None) != 1:
        _refuse_quantities(usage, names)
    quantity = volume if usage.service == "data" else duration if usage.service == "voice" else count
    if quantity is None:
        _refuse_quantities(usage, names)
    elif not 0 <= quantity <= QUANTITY_MAX:
        _refuse(usage, names, _QUANTITIES[usage.service], f"{quantity} is not from 0 to 2^53")


def is_imsi(text: str) -> bool:
    """Whether this names a subscriber of a mobile network: 6 to 15 digits."""
    return 6 <= len(text) <= 15 and text.isascii() and text.isdigit()


def is_e164(text: str) -> bool:
    """Whether this is an international number: + and 5 to 15 digits, the first not 0."""
    digits = text[1:]
    return text[:1] == "+" and 5 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0"


def _shown(text: str) -> str:
    """The value for a message, cut short and with control characters escaped."""
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


def _refuse_text(usage: Usage, names: Mapping[str, str], field: str, text: str) -> NoReturn:
    if not text:
        _refuse(usage, names, field, "missing" if field in ("tenant", "source", "id") else "empty")
    if len(text) > TEXT_MAX:
        _refuse(usage, names, field, f"{len(text)} characters, at most {TEXT_MAX} are kept")
    _refuse(usage, names, field, "contains a NUL character")


def _refuse_time(usage: Usage, names: Mapping[str, str]) -> NoReturn:
    if usage.start_ms < EARLIEST_MS:
        _refuse(usage, names, "start_ms", "before the year 2000")
    if usage.end_ms < usage.start_ms:
        _refuse(usage, names, "end_ms", "before the start")
    _refuse(usage, names, "end_ms", f"more than {SPAN_MAX_MS // 86_400_000} days after the start")


def _refuse_quantities(usage: Usage, names: Mapping[str, str]) -> NoReturn:
    wanted = _QUANTITIES[usage.service]
    for field in _QUANTITIES.values():
        if field != wanted and getattr(usage, field) is not None:
            _refuse(usage, names, field, f"does not belong to service {usage.service}, whose quantity is {wanted}")
    _refuse(usage, names, wanted, "missing")


def _refuse(usage: Usage, names: Mapping[str, str], field: str, detail: str) -> NoReturn:
    identity = (usage.tenant[:TEXT_MAX], usage.source[:TEXT_MAX], usage.id[:TEXT_MAX])
    raise UsageError(names.get(field, field), detail, identity=identity)
