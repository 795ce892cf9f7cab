from rater.compiled.fields cimport Head, MemberFields, OfferFields, PayerFields, RawEvent, WalletFields


ctypedef struct Piece:
    int at, size  # of its text; size 0: not given


cdef class Debit:
    """See rater.wallet.debit.Debit: the same attributes and methods."""

    cdef:
        public WalletFields wallet
        public MemberFields member, pool
        public Head head
        public bytes identity, marks, before, after, cover, pool_before, pool_after
        public object currency, counters, sessions, refuse, answer
        public long long amount_nanos, version, place, ahead_nanos
        public bint free, uncounted, allowed, shares
        object _cause


cdef class Rated(Debit):
    """See rater.pipeline.batch.Rated."""

    cdef:
        public RawEvent raw
        public PayerFields payer
        public OfferFields offer
        public object shape, billed, charge, given, old_fingerprint, fault
        public long long start_ms, end_ms, quantity, until_ms, order
        public bint is_repeat, is_due, counts
        # Decoded when it is asked for, where the event was scanned.
        object _body
        # What was scanned, and where in it.
        bytes text
        Piece source, id, session_id, called_number

    cdef bint open(self)
    cpdef leave(self)
