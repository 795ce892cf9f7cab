# Where the fields of a plain JSON event stand, and what they say. See scan.pyx.

from libc.string cimport memcmp

cdef enum:
    TENANT, SOURCE, ID, ICCID, SERVICE, KIND, DIRECTION, MCC, MNC, COUNTRY, CALLED_NUMBER, DESTINATION_COUNTRY
    SESSION_ID, START_TIME, END_TIME, VOLUME_BYTES, DURATION_MS, MESSAGE_COUNT, IMSI, MSISDN
    FIELDS

# What `number` and `time_ms` answer for what is none, or none they read.
cdef enum:
    UNREAD = -1

ctypedef struct Span:
    const char* at  # NULL: not given
    Py_ssize_t size


cdef bint scan(bytes text, Span* fields)
cdef bint is_utf8(bytes text)
cdef Py_ssize_t letters(Span text) noexcept nogil
cdef long long number(Span digits) noexcept nogil
cdef long long time_ms(Span text) noexcept nogil


cdef inline const char* text_end(const char* at, const char* end) noexcept nogil:
    """The quotation mark that ends a text, or NULL where it is not plain."""
    while at < end and at[0] != c'"':
        if 0 <= at[0] < 32 or at[0] == c"\\":
            return NULL
        at += 1
    return at if at < end else NULL


cdef inline const char* past_space(const char* at, const char* end) noexcept nogil:
    while at < end and (at[0] == c" " or at[0] == c"\n" or at[0] == c"\t" or at[0] == c"\r"):
        at += 1
    return at


cdef inline const char* past_word(const char* at, const char* end, const char* word, Py_ssize_t size) noexcept nogil:
    """Behind a word, NULL where it does not stand here."""
    return at + size if end - at > size and not memcmp(at, word, size) else NULL


cdef inline const char* past_digits(const char* at, const char* end) noexcept nogil:
    while at < end and c"0" <= at[0] <= c"9":
        at += 1
    return at
