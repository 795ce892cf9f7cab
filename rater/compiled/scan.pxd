# Where the fields of a plain JSON event stand, and what they say. See scan.pyx.

cdef enum:
    TENANT, SOURCE, ID, ICCID, SERVICE, KIND, DIRECTION, MCC, MNC, COUNTRY, CALLED_NUMBER, DESTINATION_COUNTRY
    SESSION_ID, START_TIME, END_TIME, VOLUME_BYTES, DURATION_MS, MESSAGE_COUNT
    FIELDS

# What `number` and `time_ms` answer for what is none, or none they read.
cdef enum:
    UNREAD = -1

ctypedef struct Span:
    const char* at  # NULL: not given
    Py_ssize_t size


cdef bint scan(bytes text, Span* fields)
cdef Py_ssize_t letters(Span text) noexcept nogil
cdef long long number(Span digits) noexcept nogil
cdef long long time_ms(Span text) noexcept nogil
