"""Every event has one fate, and every fate but `rated` has a reason.

The numbers stand in the verdict memory inside Redis, so a number is never given a second meaning.
"""

from enum import IntEnum


class Fate(IntEnum):
    """What became of an event; events in = the sum of these, always."""

    RATED = 0
    REFUSED = 1
    DUPLICATE = 2
    PARKED = 3
    DEAD_LETTERED = 4

    def __init__(self, _: int) -> None:
        #: The fate as it is written on the wire, in metrics and in ClickHouse.
        self.label = self._name_.lower()


class Reason(IntEnum):
    """Why. 1-31 are decisions and burn the id; 32-63 are parked and burn nothing; 64+ are dead letters."""

    NONE = 0
    # Refused: a decision of the wallet or the tariff, remembered under the id.
    SUSPENDED = 1
    REGION_BLOCKED = 2
    NOT_ENTITLED = 3
    INSUFFICIENT_BALANCE = 4
    BALANCE_LIMIT = 5
    AMOUNT_LIMIT = 6
    ALLOWANCE_USED_UP = 7
    # Parked: somebody has to repair something, then the event is replayed.
    UNKNOWN_SUBSCRIBER = 32
    NO_PLAN = 33
    NO_RATE = 34
    CURRENCY_MISMATCH = 35
    NO_WALLET = 36
    #: Its id is older than what Redis remembers, and ClickHouse, which would know it, does not answer.
    LEDGER_AWAY = 37
    # Dead letters: the event itself is wrong, its bytes are kept.
    MALFORMED = 64
    INVALID = 65
    TOO_LARGE = 66
    TOO_OLD = 67
    FUTURE = 68
    ID_CONFLICT = 69

    def __init__(self, _: int) -> None:
        #: The reason as it is written on the wire, in metrics and in ClickHouse.
        self.label = self._name_.lower()
