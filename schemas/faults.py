"""Events that could not be decided: parked (to be repaired and replayed) and dead letters. Both keep the event."""

import msgspec


class ParkedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A good event that something of ours kept from being rated. It burnt no id; `rater parked replay` resends it."""

    tenant: str
    source: str
    id: str
    reason: str
    detail: str
    door: str
    position: int
    parked_ms: int
    #: The event itself, normalised: a JSON object of schemas.usage.Usage, in base64 as all bytes in JSON here.
    raw: bytes


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that is wrong in itself: which field, why, and its bytes and headers, whole."""

    reason: str
    field: str
    detail: str
    door: str
    position: int
    dead_ms: int
    raw: bytes
    headers: dict[str, str] = {}
    tenant: str = ""
    source: str = ""
    id: str = ""
    format: str = "usage"
    #: Which one of an array of events that came as one record.
    element: int = 0
