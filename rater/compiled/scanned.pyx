"""An event that was scanned, as far as it tells of itself: checked as schemas/checks.py does, but for its shape and SIM."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

from rater.compiled.event cimport Piece, Rated
from rater.compiled.fields cimport RawEvent
from rater.compiled.scan cimport (
    CALLED_NUMBER, DURATION_MS, END_TIME, ICCID, ID, IMSI, MESSAGE_COUNT, MSISDN, SERVICE, SESSION_ID, SOURCE,
    START_TIME, TENANT, UNREAD, VOLUME_BYTES, Span, number, past_digits, scan, time_ms,
)
from rater.compiled.streamer cimport Streamer

from schemas.checks import EARLIEST_MS as _EARLIEST_MS
from schemas.checks import QUANTITY_MAX as _QUANTITY_MAX
from schemas.checks import SPAN_MAX_MS as _SPAN_MAX_MS
from schemas.decode import RAW_MAX_BYTES as _RAW_MAX_BYTES

cdef long long EARLIEST_MS = _EARLIEST_MS, QUANTITY_MAX = _QUANTITY_MAX, SPAN_MAX_MS = _SPAN_MAX_MS
cdef Py_ssize_t RAW_MAX_BYTES = _RAW_MAX_BYTES


cdef Rated scanned(RawEvent raw, Streamer streamer, Span* fields, long long oldest_ms, long long newest_ms):
    """The event, and where its fields stand in its text; None for one that has to go the long way.

    With a streamer it is a record of the Data Streamer.
    """
    value = raw.value
    if raw.headers or type(value) is not bytes or PyBytes_GET_SIZE(value) > RAW_MAX_BYTES:
        return None
    cdef bytes text = value if streamer is None else streamer.plain(value)
    if text is None or not scan(text, fields) or not has_its_names(fields):
        return None
    cdef Rated rated = Rated.__new__(Rated)
    rated.start_ms, rated.end_ms = time_ms(fields[START_TIME]), time_ms(fields[END_TIME])
    if not (EARLIEST_MS <= rated.start_ms <= rated.end_ms <= rated.start_ms + SPAN_MAX_MS):
        return None
    if rated.end_ms < oldest_ms or rated.start_ms > newest_ms or not has_its_quantity(rated, fields):
        return None
    rated.raw, rated.text = raw, text
    take_pieces(rated, fields, PyBytes_AS_STRING(text))
    return rated


cdef bint says(Span span, const char* word, Py_ssize_t size) noexcept:
    return span.size == size and not memcmp(span.at, word, size)


cdef bint has_its_names(Span* fields) noexcept:
    """Whether it says what it is and whose; its ICCID is right where its SIM is found."""
    if fields[TENANT].at == NULL or fields[SOURCE].at == NULL or fields[ID].at == NULL or fields[ICCID].at == NULL:
        return False
    cdef Span imsi = fields[IMSI], msisdn = fields[MSISDN]
    if imsi.at != NULL and not (6 <= imsi.size <= 15 and is_digits(imsi.at, imsi.size)):
        return False
    return msisdn.at == NULL or (
        6 <= msisdn.size <= 16 and msisdn.at[0] == c"+" and msisdn.at[1] != c"0"
        and is_digits(msisdn.at + 1, msisdn.size - 1)
    )  # fmt: skip


cdef bint is_digits(const char* text, Py_ssize_t size) noexcept:
    return past_digits(text, text + size) == text + size


cdef bint has_its_quantity(Rated rated, Span* fields) noexcept:
    """Whether it has the one quantity of its service; takes it over, and until when it is charged."""
    cdef long long volume = number(fields[VOLUME_BYTES]), duration = number(fields[DURATION_MS])
    cdef long long messages = number(fields[MESSAGE_COUNT])
    rated.until_ms = rated.end_ms
    if fields[SERVICE].at == NULL or (volume != UNREAD) + (duration != UNREAD) + (messages != UNREAD) != 1:
        return False
    if says(fields[SERVICE], b"data", 4):
        rated.quantity = volume
    elif says(fields[SERVICE], b"voice", 5):
        rated.quantity, rated.until_ms = duration, rated.start_ms + duration
    elif says(fields[SERVICE], b"message", 7):
        rated.quantity, rated.until_ms = messages, rated.start_ms
    else:
        return False
    return 0 <= rated.quantity <= QUANTITY_MAX


cdef Piece piece_of(Span span, const char* raw) noexcept:
    cdef Piece piece
    piece.at, piece.size = <int> (span.at - raw) if span.at != NULL else 0, <int> span.size if span.at != NULL else 0
    return piece


cdef void take_pieces(Rated rated, Span* fields, const char* raw) noexcept:
    """Note where stands what a record repeats."""
    rated.source, rated.id = piece_of(fields[SOURCE], raw), piece_of(fields[ID], raw)
    rated.session_id, rated.called_number = piece_of(fields[SESSION_ID], raw), piece_of(fields[CALLED_NUMBER], raw)
