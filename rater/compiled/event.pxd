ctypedef struct Piece:
    int at, size  # of the raw event; size 0: not given


cdef class Debit:
    """See rater.wallet.debit.Debit: the same attributes and methods."""

    cdef:
        public object wallet, member, identity, marks, currency, before, after, counters, sessions, refuse, cover
        public object pool, pool_before, pool_after, head, answer
        public long long amount_nanos, version, place, ahead_nanos
        public bint free, uncounted, allowed, shares
        object _cause


cdef class Rated(Debit):
    """See rater.pipeline.batch.Rated."""

    cdef:
        public object raw, shape, payer, offer, billed, charge, given, old_fingerprint, fault
        public long long start_ms, end_ms, quantity, until_ms, order
        public bint is_repeat, is_due, counts
        # Decoded when it is asked for, where the event was scanned.
        object _body
        # Where the scanner found them.
        Piece source, id, session_id, called_number

    cdef bint open(self)
