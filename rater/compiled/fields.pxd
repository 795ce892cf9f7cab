cdef class RawEvent:
    """See rater.pipeline.batch.RawEvent."""

    cdef readonly object value, door, headers
    cdef readonly long long position
    cdef readonly int element


cdef class Head:
    """See rater.wallet.debit.Head."""

    cdef readonly object balance_nanos
    cdef readonly long long epoch, n, decided_ms


cdef class WalletFields:
    cdef public str tenant, name
    cdef public bytes key, tail
    cdef public long long shard


cdef class MemberFields:
    cdef object __weakref__
    cdef public bytes key, state
    cdef public dict counters
    cdef public object pending, subscription, mark
    cdef public Py_ssize_t place, last
    cdef public long long version
    cdef public bint is_held

    cdef int queue_event(self, event) except -1
    cdef int settle_event(self, event) except -1


cdef class PayerFields:
    cdef public object book, currency, live, subscriber
    cdef public str text
    cdef public bytes key
    cdef public MemberFields member
    cdef public WalletFields wallet
    cdef public long long low_ms, high_ms, version
    cdef public bint has_moved, is_planned
    # Its subscriber's id as the fingerprint has it, and how its records begin; the offers of its book.
    cdef bytes named, begun
    cdef dict offers

    cdef int take(self) except -1


cdef class SimFields:
    cdef public PayerFields payer


cdef class OfferFields:
    cdef public object compiled
    cdef public long long billed_until_ms


cdef int fetch_known(list sims) except -1
