"""Records of the Data Streamer, and rows of its CSV files, written as plain JSON events, which the lane then scans.

What it writes the decoder of plain JSON reads as schemas/adapters/streamer.py reads the record; what it cannot be sure
of (escapes, numbers with exponents, a field twice) it leaves to that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from rater.compiled.scan cimport UNREAD, Span
from rater.compiled.streamer_scan cimport (
    END, ICCID, ID, IMSI, IPCAN_SESSION, MCC, MNC, MSISDN, RX, SESSION, START, TOTAL, TRAFFIC, TX, Found, find,
)
from rater.compiled.text cimport Text

from json.encoder import encode_basestring

from schemas.adapters.emnify import EMNIFY
from schemas.adapters.once import ONCE
from schemas.decode import RAW_MAX_BYTES as _RAW_MAX_BYTES

cdef Py_ssize_t RAW_MAX_BYTES = _RAW_MAX_BYTES
cdef Text TEXT = Text()
cdef enum:
    WHOLE_DIGITS = 9  # of megabytes: a petabyte
    DECIMALS = 6
    MILLION = 1_000_000


cdef class Streamer:
    """See streamer.pxd."""

    def __init__(self, decoder):
        self.is_read, self.is_guessed = decoder.format in ("emnify", "1nce", "auto"), decoder.format == "auto"
        self.is_once = decoder.format == ONCE.source
        self.begun_emnify, self.begun_once = (
            f'{{"tenant":{encode_basestring(decoder.tenant)},"source":{encode_basestring(decoder.source or by.source)}'
            ',"id":"'.encode()
            for by in (EMNIFY, ONCE)
        )

    cdef bytes plain(self, bytes raw):
        """The record as a plain JSON event; None for one that this does not read."""
        cdef const char* at = PyBytes_AS_STRING(raw)
        cdef const char* end = at + PyBytes_GET_SIZE(raw)
        cdef Found found
        if end - at > RAW_MAX_BYTES or not self.is_read:
            return None
        if not find(at, end, False, &found) and not find(at, end, True, &found):
            return None
        cdef bint is_once = found.is_once if self.is_guessed else self.is_once
        text = TEXT
        text.begin()
        text.add_bytes(self.begun_once if is_once else self.begun_emnify)
        # emnify counts what the device sent as received, 1NCE as sent.
        if not add_event(text, found.fields, TX if is_once else RX, RX if is_once else TX):
            return None
        return text.taken()


def plain(decoder, bytes raw):
    """A record as a plain JSON event; None for one that is not read here. For tests."""
    return Streamer(decoder).plain(raw)


cdef bint add_event(Text text, Span* fields, int sent, int received) except -1:
    """What follows the source; whether it could be written."""
    cdef long long total = millionths(fields[TOTAL])
    cdef bint has_tx = fields[TX].at != NULL, has_rx = fields[RX].at != NULL
    if fields[ID].at == NULL or fields[TRAFFIC].size != 1 or total == UNREAD:
        return False
    if has_tx and millionths(fields[TX]) == UNREAD or has_rx and millionths(fields[RX]) == UNREAD:
        return False
    text.add_span(fields[ID])
    if fields[TRAFFIC].at[0] == c"5":
        text.add(b'","service":"data","volume_bytes":', 34)
        text.add_number(total, c",")
    elif fields[TRAFFIC].at[0] != c"6" or not add_messages(
        text, total, millionths(fields[sent]), millionths(fields[received])
    ):  # fmt: skip
        return False
    if not (add_time(text, b'"start_time":"', 14, fields[START]) and add_time(text, b',"end_time":"', 13, fields[END])):
        return False
    add_text(text, b',"iccid":"', 10, fields[ICCID])
    add_text(text, b',"imsi":"', 9, fields[IMSI])
    if fields[MSISDN].at != NULL:
        add_text(text, b',"msisdn":"+', 12 - (fields[MSISDN].at[0] == c"+"), fields[MSISDN])
    add_text(text, b',"session_id":"', 15, fields[SESSION] if fields[SESSION].at != NULL else fields[IPCAN_SESSION])
    if fields[MCC].at != NULL:
        add_text(text, b',"mcc":"', 8, fields[MCC])
        if is_one_network(fields[MNC]):
            add_text(text, b',"mnc":"', 8, fields[MNC])
    return text.add(b"}", 1)


cdef bint add_messages(Text text, long long total, long long sent, long long received) except -1:
    """How many, and which way; whether the numbers agree."""
    sent, received = max(sent, 0), max(received, 0)
    if total % MILLION or sent % MILLION or received % MILLION or sent + received != total or sent and received:
        return False
    text.add(b'","service":"message","kind":"sms"', 34)
    if received:
        text.add(b',"direction":"incoming"', 23)
    text.add(b',"message_count":', 17)
    return text.add_number(total // MILLION, c",")


cdef bint add_time(Text text, const char* name, Py_ssize_t size, Span time) except -1:
    """A time with its zone, which is UTC where none is given; whether it looks like one: the scanner reads it."""
    cdef Py_ssize_t place = 19
    if time.at == NULL or time.size < place or time.at[10] != c"T" and time.at[10] != c" ":
        return False
    text.add(name, size)
    text.add(time.at, 10)
    text.add(b"T", 1)
    text.add(time.at + 11, time.size - 11)
    while place < time.size and (time.at[place] == c"." or c"0" <= time.at[place] <= c"9"):
        place += 1
    if place == time.size:
        text.add(b"Z", 1)
    return text.add(b'"', 1)


cdef int add_text(Text text, const char* name, Py_ssize_t size, Span value) except -1:
    if value.at != NULL:
        text.add(name, size)
        text.add_span(value)
        text.add(b'"', 1)
    return 0


cdef bint is_one_network(Span mnc) noexcept nogil:
    """Whether one is given, and only one."""
    cdef Py_ssize_t place
    for place in range(mnc.size):
        if mnc.at[place] == c"," or mnc.at[place] == c" ":
            return False
    return mnc.at != NULL


cdef long long millionths(Span number) noexcept nogil:
    """Of "2.148440": 2148440; UNREAD for what is none, too large, or has more than six decimals."""
    cdef const char* at = number.at
    cdef Py_ssize_t place, decimals = UNREAD
    cdef long long value = 0
    if at == NULL or not number.size or number.size > WHOLE_DIGITS + 1 + DECIMALS:
        return UNREAD
    for place in range(number.size):
        if at[place] == c"." and decimals == UNREAD and 0 < place < number.size - 1:
            if place > WHOLE_DIGITS:
                return UNREAD
            decimals = 0
        elif c"0" <= at[place] <= c"9":
            value = value * 10 + at[place] - c"0"
            decimals += decimals != UNREAD
        else:
            return UNREAD
    if decimals > DECIMALS or decimals == UNREAD and number.size > WHOLE_DIGITS:
        return UNREAD
    for place in range(max(decimals, 0), DECIMALS):
        value *= 10
    return value
