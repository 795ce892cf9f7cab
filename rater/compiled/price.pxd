from rater.compiled.event cimport Rated

cdef enum:
    TIERS_MAX = 8

ctypedef struct Priced:
    long long billed, amount_nanos
    long long[2] before, after  # of the counters, in the order of the keys


cdef class PricedBy:
    """What is read of an offer for each event."""

    cdef object rate, refuse
    cdef tuple keys
    cdef bytes text
    cdef long long low_ms, high_ms
    cdef bint is_free, has_line, is_carried
    cdef long long first, following, base, divisor, step
    cdef int tiers
    cdef long long[TIERS_MAX] below, prices, costs


cdef bint line_of(Rated rated, PricedBy by, Priced* priced) except -1
cdef int advance(Rated rated, PricedBy by, Priced* priced, long long now_ms) except -1
