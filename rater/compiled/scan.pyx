"""Reads a plain JSON event without making an object of anything: where each field stands, numbers and times.

It reads less than JSON: one flat object, without escapes, each field at most once, the SIM by its ICCID. It never reads
anything otherwise than the decoder of schemas/adapters/usage_json.py does; what it does not read is left to that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

from schemas.checks import TEXT_MAX as _TEXT_MAX

cdef Py_ssize_t TEXT_MAX = _TEXT_MAX
cdef enum:
    DIGITS_MAX = 16
    NAMES_END = FIELDS + 2


cdef enum Sort:
    TEXT, GIVEN_TEXT, DIGITS, FLAG, NOTHING  # GIVEN: not null; NOTHING: null at most


cdef struct Name:
    const char* text
    Py_ssize_t size
    Sort sort


# In the order of the enumeration in scan.pxd, and behind them what is not kept.
cdef Name[NAMES_END] NAMES = [
    Name(b"tenant", 6, GIVEN_TEXT), Name(b"source", 6, GIVEN_TEXT), Name(b"id", 2, GIVEN_TEXT), Name(b"iccid", 5, TEXT),
    Name(b"service", 7, GIVEN_TEXT), Name(b"kind", 4, TEXT), Name(b"direction", 9, GIVEN_TEXT), Name(b"mcc", 3, TEXT),
    Name(b"mnc", 3, TEXT), Name(b"country", 7, TEXT), Name(b"called_number", 13, TEXT),
    Name(b"destination_country", 19, TEXT), Name(b"session_id", 10, TEXT), Name(b"start_time", 10, GIVEN_TEXT),
    Name(b"end_time", 8, GIVEN_TEXT), Name(b"volume_bytes", 12, DIGITS), Name(b"duration_ms", 11, DIGITS),
    Name(b"message_count", 13, DIGITS), Name(b"imsi", 4, TEXT), Name(b"msisdn", 6, TEXT), Name(b"final", 5, FLAG),
    Name(b"subscriber", 10, NOTHING),
]


cdef int field_of(const char* text, Py_ssize_t size) noexcept nogil:
    """The field of a name, or NAMES_END."""
    cdef int field
    for field in range(NAMES_END):
        if NAMES[field].size == size and not memcmp(NAMES[field].text, text, size):
            return field
    return NAMES_END


cdef const char* past_value(const char* at, const char* end, Sort sort, Span* found) noexcept nogil:
    """Behind a value, NULL where it is none of its sort; fills in where it stands, unless it is not kept."""
    cdef const char* begin = at
    if at[0] == c"n" and (sort == TEXT or sort == DIGITS or sort == NOTHING):
        return past_word(at, end, b"null", 4)
    if sort == FLAG:
        return past_word(at, end, b"true", 4) if at[0] == c"t" else past_word(at, end, b"false", 5)
    if sort == NOTHING:
        return NULL
    if sort == TEXT or sort == GIVEN_TEXT:
        begin = at + 1
        at = text_end(begin, end) if at[0] == c'"' else NULL
        if at == NULL or at == begin:
            return NULL
        found.at, found.size = begin, at - begin
        return at + 1 if found.size <= TEXT_MAX or letters(found[0]) <= TEXT_MAX else NULL
    at = past_digits(at, end)
    if at == begin or at - begin > DIGITS_MAX or (begin[0] == c"0" and at - begin > 1):
        return NULL
    found.at, found.size = begin, at - begin
    return at


cdef Py_ssize_t letters(Span text) noexcept nogil:
    """How many characters a text has, which is UTF-8."""
    cdef Py_ssize_t place, count = text.size
    for place in range(text.size):
        count -= text.at[place] & 0xC0 == 0x80
    return count


cdef bint is_utf8(bytes text):
    """Whether it is; all ASCII it is at once."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


cdef bint scan(bytes text, Span* fields):
    """Find the fields of an event; whether it could be read."""
    return find(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), fields) and is_utf8(text)


cdef bint find(const char* text, Py_ssize_t size, Span* fields) noexcept nogil:
    cdef const char* at = text
    cdef const char* end = text + size
    cdef const char* begin
    cdef int field
    cdef unsigned int seen = 0
    cdef Span unkept
    for field in range(FIELDS):
        fields[field].at = NULL
    if size == 0 or at[0] != c"{":
        return False
    while True:
        at = past_space(at + 1, end)  # behind the brace or a comma
        if at >= end or at[0] != c'"':
            return False
        begin = at + 1
        at = text_end(begin, end)
        if at == NULL:
            return False
        field = field_of(begin, at - begin)
        at = past_space(at + 1, end)
        if field == NAMES_END or seen >> field & 1 or at >= end or at[0] != c":":
            return False
        seen |= 1 << field
        at = past_space(at + 1, end)
        if at >= end:
            return False
        at = past_value(at, end, NAMES[field].sort, &fields[field] if field < FIELDS else &unkept)
        if at == NULL:
            return False
        at = past_space(at, end)
        if at < end and at[0] == c"}":
            return past_space(at + 1, end) == end
        if at >= end or at[0] != c",":
            return False


cdef long long number(Span digits) noexcept nogil:
    """The number that was scanned; UNREAD where none was given."""
    cdef long long value = 0
    cdef Py_ssize_t place
    if digits.at == NULL:
        return UNREAD
    for place in range(digits.size):
        value = value * 10 + (digits.at[place] - c"0")
    return value


cdef int two_digits(const char* at) noexcept nogil:
    """Two digits as a number, far above all that are where they are none."""
    if c"0" <= at[0] <= c"9" and c"0" <= at[1] <= c"9":
        return (at[0] - c"0") * 10 + at[1] - c"0"
    return 10_000


cdef long long days_of(int year, int month, int day) noexcept nogil:
    """Days since 1970; or UNREAD for a day that is none or before."""
    cdef bint is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    cdef int last = 31 - (month in (4, 6, 9, 11))
    if month == 2:
        last = 28 + is_leap
    if not (1970 <= year <= 9998 and 1 <= month <= 12 and 1 <= day <= last):
        return UNREAD
    # Years that begin in March, so that the leap day is their last.
    cdef long long years = year - (month <= 2)
    cdef long long day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + day_of_year - 719_468


cdef long long time_ms(Span text) noexcept nogil:
    """Whole milliseconds since 1970 of "2026-10-20T16:16:24[.295](Z|+02:00)" (RFC 3339); UNREAD for any other."""
    cdef const char* at = text.at
    cdef Py_ssize_t size = text.size - 1  # without the zone
    cdef long long ahead = 0
    if at == NULL or text.size < 20:
        return UNREAD
    if at[size] != c"Z":
        size -= 5
        ahead = offset_minutes(at + size)
    if size < 19 or ahead == UNREAD:
        return UNREAD
    if at[4] != c"-" or at[7] != c"-" or at[10] != c"T" or at[13] != c":" or at[16] != c":":
        return UNREAD
    cdef int hour = two_digits(at + 11), minute = two_digits(at + 14), second = two_digits(at + 17)
    cdef long long days = days_of(two_digits(at) * 100 + two_digits(at + 2), two_digits(at + 5), two_digits(at + 8))
    cdef int ms = milliseconds(at + 19, size - 19)
    if days == UNREAD or hour > 23 or minute > 59 or second > 59 or ms == UNREAD:
        return UNREAD
    return ((days * 24 + hour) * 60 + minute - ahead) * 60_000 + second * 1000 + ms


cdef int milliseconds(const char* at, Py_ssize_t size) noexcept nogil:
    """Of ".295", nothing or up to six digits, of which three count; UNREAD for any other."""
    cdef int ms = 0, place, unit = 100
    if size == 0:
        return 0
    if at[0] != c"." or size < 2 or size > 7:
        return UNREAD
    for place in range(1, <int> size):
        if not c"0" <= at[place] <= c"9":
            return UNREAD
        ms += unit * (at[place] - c"0")
        unit //= 10
    return ms


cdef long long offset_minutes(const char* at) noexcept nogil:
    """Of "+02:00"; UNREAD for any other, and for one minute before UTC, which no zone is."""
    cdef int hours = two_digits(at + 1), minutes = two_digits(at + 4)
    if at[3] != c":" or hours > 23 or minutes > 59:
        return UNREAD
    if at[0] == c"+":
        return hours * 60 + minutes
    return -(hours * 60 + minutes) if at[0] == c"-" else UNREAD


def scanned(bytes text):
    """What is read of an event: bytes, numbers and times by the place of the field; None where it is not. For tests."""
    cdef Span[FIELDS] fields
    cdef int field
    if not scan(text, fields):
        return None
    found = {}
    for field in range(FIELDS):
        if fields[field].at != NULL:
            name = NAMES[field].text[:NAMES[field].size].decode()
            if field in (START_TIME, END_TIME):
                found[name] = time_ms(fields[field])
            elif NAMES[field].sort <= GIVEN_TEXT:
                found[name] = fields[field].at[:fields[field].size].decode()
            else:
                found[name] = number(fields[field])
    return found
