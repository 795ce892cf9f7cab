"""Finds the fields of a Data Streamer record, or of a row of its CSV files, without making an object of anything.

It reads less than JSON: ASCII without escapes but in what is skipped, each field at most once, plain numbers. What it
does not read is left to schemas/adapters/streamer.py, and it reads nothing otherwise.
"""

from libc.string cimport memcmp

from rater.compiled.scan cimport Span, past_digits, past_space, past_word, text_end

cdef enum:
    DEEPEST = 8  # objects and arrays in one another
    ID_DIGITS = 18

cdef enum:
    RECORD, TRAFFIC_TYPE, SIM, VOLUME, OPERATOR, COUNTRY, ROW, UNKEPT

cdef enum Sort:
    TEXT_VALUE, NUMBER, DECIMAL, KEY, OBJECT, REFUSED  # DECIMAL and KEY: a number or a text


cdef struct Name:
    int level
    const char* text
    Py_ssize_t size
    Sort sort
    int leads_to  # its field, or the level of the object's own names


cdef enum:
    NAMES_END = 34

cdef Name[NAMES_END] NAMES = [
    Name(RECORD, b"id", 2, KEY, ID), Name(RECORD, b"traffic_type", 12, OBJECT, TRAFFIC_TYPE),
    Name(RECORD, b"start_timestamp", 15, TEXT_VALUE, START), Name(RECORD, b"end_timestamp", 13, TEXT_VALUE, END),
    Name(RECORD, b"volume", 6, OBJECT, VOLUME), Name(RECORD, b"sim", 3, OBJECT, SIM),
    Name(RECORD, b"operator", 8, OBJECT, OPERATOR), Name(RECORD, b"imsi", 4, TEXT_VALUE, IMSI),
    Name(RECORD, b"session_id", 10, TEXT_VALUE, SESSION),
    Name(RECORD, b"ipcan_session_id", 16, TEXT_VALUE, IPCAN_SESSION), Name(RECORD, b"row_error", 9, REFUSED, KEPT),
    Name(TRAFFIC_TYPE, b"id", 2, NUMBER, TRAFFIC),
    Name(SIM, b"iccid", 5, TEXT_VALUE, ICCID), Name(SIM, b"msisdn", 6, TEXT_VALUE, MSISDN),
    Name(VOLUME, b"total", 5, DECIMAL, TOTAL), Name(VOLUME, b"tx", 2, DECIMAL, TX), Name(VOLUME, b"rx", 2, DECIMAL, RX),
    Name(OPERATOR, b"mnc", 3, TEXT_VALUE, MNC), Name(OPERATOR, b"country", 7, OBJECT, COUNTRY),
    Name(COUNTRY, b"mcc", 3, TEXT_VALUE, MCC),
    Name(ROW, b"id", 2, TEXT_VALUE, ID), Name(ROW, b"traffic_type_id", 15, TEXT_VALUE, TRAFFIC),
    Name(ROW, b"event_start_timestamp", 21, TEXT_VALUE, START),
    Name(ROW, b"event_stop_timestamp", 20, TEXT_VALUE, END), Name(ROW, b"volume", 6, TEXT_VALUE, TOTAL),
    Name(ROW, b"volume_tx", 9, TEXT_VALUE, TX), Name(ROW, b"volume_rx", 9, TEXT_VALUE, RX),
    Name(ROW, b"iccid", 5, TEXT_VALUE, ICCID), Name(ROW, b"imsi", 4, TEXT_VALUE, IMSI),
    Name(ROW, b"msisdn_msisdn", 13, TEXT_VALUE, MSISDN), Name(ROW, b"country_mcc", 11, TEXT_VALUE, MCC),
    Name(ROW, b"operator_mncs", 13, TEXT_VALUE, MNC), Name(ROW, b"session_id", 10, TEXT_VALUE, SESSION),
    Name(ROW, b"row_error", 9, REFUSED, KEPT),
]  # fmt: skip


# Where the names of each level begin, and behind the last one.
cdef int[UNKEPT + 2] FIRST
FIRST[:] = [next(name for name in range(NAMES_END + 1) if name == NAMES_END or NAMES[name].level >= level)
            for level in range(UNKEPT + 2)]  # fmt: skip


cdef bint find(const char* at, const char* end, bint is_row, Found* found) noexcept nogil:
    """Find the fields of a record, or of a row; whether it could be read."""
    cdef int field
    for field in range(KEPT):
        found.fields[field].at, found.fields[field].size = NULL, 0
    found.seen, found.is_row, found.is_once, found.is_mixed = 0, is_row, False, False
    at = past_object(at, end, ROW if is_row else RECORD, 0, found)
    return at != NULL and past_space(at, end) == end and not found.is_mixed


cdef const char* past_object(const char* at, const char* end, int level, int depth, Found* found) noexcept nogil:
    """Behind an object, NULL where none stands here; takes what has a name at this level."""
    cdef const char* begin
    cdef int name
    if at >= end or at[0] != c"{" or depth == DEEPEST:
        return NULL
    at = past_space(at + 1, end)
    if at < end and at[0] == c"}":
        return at + 1
    while at < end and at[0] == c'"':
        begin = at + 1
        at = text_end(begin, end)
        if at == NULL:
            return NULL
        notice(begin, end, found)
        name = name_of(begin, at - begin, level)
        at = past_space(at + 1, end)
        if at >= end or at[0] != c":":
            return NULL
        at = past_space(at + 1, end)
        at = past_named(at, end, name, depth, found) if name < NAMES_END else past_any(at, end, depth, found)
        if at == NULL:
            return NULL
        at = past_space(at, end)
        if at < end and at[0] == c"}":
            return at + 1
        if at >= end or at[0] != c",":
            return NULL
        at = past_space(at + 1, end)
    return NULL


cdef const char* past_named(const char* at, const char* end, int name, int depth, Found* found) noexcept nogil:
    """Behind a value that is kept, NULL where it is none of its sort."""
    cdef const char* begin = at
    cdef Sort sort = NAMES[name].sort
    if found.seen >> name & 1 or sort == REFUSED or at >= end:
        return NULL
    found.seen |= 1ULL << name
    if at[0] == c"n":
        return past_any(at, end, depth, found)
    if sort == OBJECT:
        return past_object(at, end, NAMES[name].leads_to, depth + 1, found)
    if at[0] == c'"' and sort != NUMBER:
        begin = at + 1
        at = text_end(begin, end)
        if at == NULL or at == begin or not is_ascii(begin, at):
            return NULL
        notice(begin, end, found)
        found.fields[NAMES[name].leads_to] = Span(begin, at - begin)
        return at + 1
    if sort == TEXT_VALUE:
        return NULL
    at = past_number(at, end)
    if at == NULL or sort != DECIMAL and (past_digits(begin, end) != at or at - begin > ID_DIGITS):
        return NULL
    found.fields[NAMES[name].leads_to] = Span(begin, at - begin)
    return at


cdef const char* past_any(const char* at, const char* end, int depth, Found* found) noexcept nogil:
    """Behind a value that nobody reads, NULL where it is not plain JSON."""
    if at >= end or depth == DEEPEST:
        return NULL
    if at[0] == c'"':
        return past_text(at, end, found)
    if at[0] == c"{":
        return past_object(at, end, UNKEPT, depth + 1, found)
    if at[0] == c"[":
        return past_array(at, end, depth, found)
    if at[0] == c"n":
        return past_word(at, end, b"null", 4)
    if at[0] == c"t":
        return past_word(at, end, b"true", 4)
    return past_word(at, end, b"false", 5) if at[0] == c"f" else past_number(at, end)


cdef const char* past_array(const char* at, const char* end, int depth, Found* found) noexcept nogil:
    at = past_space(at + 1, end)
    if at < end and at[0] == c"]":
        return at + 1
    while True:
        at = past_any(at, end, depth + 1, found)
        if at == NULL:
            return NULL
        at = past_space(at, end)
        if at < end and at[0] == c"]":
            return at + 1
        if at >= end or at[0] != c",":
            return NULL
        at = past_space(at + 1, end)


cdef const char* past_text(const char* at, const char* end, Found* found) noexcept nogil:
    """Behind a text, which may have escapes but those by number."""
    at += 1
    notice(at, end, found)
    while at < end and at[0] != c'"':
        if 0 <= at[0] < 32:
            return NULL
        if at[0] == c"\\":
            at += 1
            if at >= end or not is_escape(at[0]):
                return NULL
            if at[0] == c'"':
                notice(at + 1, end, found)
        at += 1
    return at + 1 if at < end else NULL


cdef bint is_escape(char letter) noexcept nogil:
    return letter in (c'"', c"\\", c"/", c"b", c"f", c"n", c"r", c"t")


cdef const char* past_number(const char* at, const char* end) noexcept nogil:
    """Behind a number (RFC 8259), NULL where none stands here."""
    cdef const char* begin
    at += at[0] == c"-"
    begin = at
    at = past_digits(at, end)
    if at == begin or begin[0] == c"0" and at - begin > 1:
        return NULL
    if at < end and at[0] == c".":
        begin = at + 1
        at = past_digits(begin, end)
        if at == begin:
            return NULL
    if at < end and (at[0] == c"e" or at[0] == c"E"):
        at += 1
        at += at < end and (at[0] == c"+" or at[0] == c"-")
        begin = at
        at = past_digits(begin, end)
        if at == begin:
            return NULL
    return at


cdef bint is_ascii(const char* at, const char* end) noexcept nogil:
    """Whether no letter needs to be decoded to know that it is one."""
    while at < end and (<unsigned char> at[0]) < 128:
        at += 1
    return at == end


cdef int name_of(const char* text, Py_ssize_t size, int level) noexcept nogil:
    """What is kept under a name at a level, or NAMES_END."""
    cdef int name
    for name in range(FIRST[level], FIRST[level + 1]):
        if NAMES[name].size == size and not memcmp(NAMES[name].text, text, size):
            return name
    return NAMES_END


cdef void notice(const char* text, const char* end, Found* found) noexcept nogil:
    """Behind a quotation mark: what schemas/decode.py tells records, rows and platforms by, wherever it stands."""
    if end - text > 12 and text[0] == c"t" and not memcmp(text, b"traffic_type", 12):
        found.is_mixed |= found.is_row == (text[12] == c'"')
    elif end - text > 7 and text[0] == c"8" and (not memcmp(text, b"8988280", 7) or not memcmp(text, b"8988228", 7)):
        found.is_once = True
