cdef class KnownPayer:
    """What is read of a payer for each event. Not the payer itself, which has this: a cycle would never be freed."""

    cdef object live, member, wallet, book, currency
    cdef dict offers
    cdef long long low_ms, high_ms, version
    cdef bint is_planned
    # Its subscriber's id as the fingerprint has it, and how its records begin.
    cdef bytes subscriber, text
