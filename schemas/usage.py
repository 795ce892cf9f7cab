"""A usage event: what was used, by whom, where, when.

`Usage` is the one normalised form: every door and every adapter ends in it, rating starts from it. Its identity is
(tenant, source, id) as in CloudEvents 1.0 with a tenant before it; `source` names the feed, never the door.
"""

from typing import Final, Literal

import msgspec

Service = Literal["data", "voice", "message"]
Direction = Literal["outgoing", "incoming"]

#: What the quantity of a service counts.
BASE_UNIT: Final[dict[Service, str]] = {"data": "bytes", "voice": "ms", "message": "messages"}


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One validated usage event. Times are Unix milliseconds (UTC), quantities are what is new since the last record.

    Exactly one of the quantities is set, the one of its service: `volume_bytes` for data, `duration_ms` for voice,
    `message_count` for messages. At least one of `subscriber`, `iccid`, `imsi`, `msisdn` is set, and is looked up in
    that order.
    """

    tenant: str
    source: str
    id: str
    service: Service
    start_ms: int
    end_ms: int
    #: What sort of the service: "sms", "whatsapp", "email" ... for messages; free text elsewhere.
    kind: str | None = None
    direction: Direction = "outgoing"
    subscriber: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    msisdn: str | None = None
    session_id: str | None = None
    #: True on the last record of a session, where the source says so.
    final: bool = False
    #: Visited network: MCC three digits, MNC two or three (ITU-T E.212).
    mcc: str | None = None
    mnc: str | None = None
    #: Where the subscriber is: ISO 3166-1 alpha-2, upper case.
    country: str | None = None
    #: E.164 with its "+", or a short code as dialled ("112").
    called_number: str | None = None
    destination_country: str | None = None
    volume_bytes: int | None = None
    duration_ms: int | None = None
    message_count: int | None = None

    @property
    def quantity(self) -> int:
        """The quantity in the unit of the service: bytes, milliseconds or messages."""
        if self.service == "data":
            return self.volume_bytes or 0
        if self.service == "voice":
            return self.duration_ms or 0
        return self.message_count or 0
