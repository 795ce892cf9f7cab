"""A rated event, compiled: what most of them need never becomes a Python object of its own."""

cimport cython

from rater.identity import NO_TOKEN
from rater.wallet.debit import decided_at_once
from rater.wallet.entry import Decision
from schemas.adapters.usage_json import normalised, quick
from schemas.fates import Reason

cdef object NONE = Reason.NONE


@cython.no_gc
cdef class Debit:
    """See event.pxd."""

    def __cinit__(self):
        self.before = self.after = self.cover = self.pool_before = self.pool_after = b""
        self.counters = self.sessions = ()
        self.refuse = NONE

    def __init__(
        self, wallet, member, identity, marks, cause, currency, amount_nanos, version, before=b"", after=b"",
        counters=(), sessions=(), refuse=NONE, free=False, uncounted=False, cover=b"", allowed=False, pool=None,
        pool_before=b"", pool_after=b"", shares=False,
    ):  # fmt: skip
        self.wallet, self.member, self.identity, self.marks, self._cause = wallet, member, identity, marks, cause
        self.currency, self.amount_nanos, self.version = currency, amount_nanos, version
        self.before, self.after, self.counters, self.sessions, self.refuse = before, after, counters, sessions, refuse
        self.free, self.uncounted, self.cover, self.allowed = free, uncounted, cover, allowed
        self.pool, self.pool_before, self.pool_after, self.shares = pool, pool_before, pool_after, shares

    @property
    def cause(self):
        return self._cause

    @property
    def fingerprint(self):
        return self.marks[:8]

    @property
    def token(self):
        return self.marks[8:20]

    @property
    def decision(self):
        if self.head is None:
            return self.answer if isinstance(self.answer, Decision) else None
        return decided_at_once(self, self.head)


@cython.no_gc
cdef class Rated(Debit):
    """See event.pxd."""

    __struct_fields__ = (
        "wallet", "member", "identity", "marks", "cause", "currency", "amount_nanos", "version", "before", "after",
        "counters", "sessions", "refuse", "free", "uncounted", "cover", "allowed", "pool", "pool_before", "pool_after",
        "shares", "head", "place", "ahead_nanos", "answer", "raw", "body", "start_ms", "end_ms", "shape", "payer",
        "offer", "quantity", "until_ms", "is_repeat", "billed", "charge", "given", "is_due", "order", "counts",
        "old_fingerprint", "fault",
    )  # fmt: skip

    def __cinit__(self):
        self.billed = 0

    def __init__(
        self, wallet, member, identity, marks, cause, currency, amount_nanos, version, *, raw, body, start_ms, end_ms,
        shape, payer, offer, quantity, until_ms, is_repeat=False,
    ):  # fmt: skip
        super().__init__(wallet, member, identity, marks, cause, currency, amount_nanos, version)
        self.raw, self._body, self.start_ms, self.end_ms, self.shape, self.payer = (
            raw, body, start_ms, end_ms, shape, payer,
        )  # fmt: skip
        self.offer, self.quantity, self.until_ms, self.is_repeat = offer, quantity, until_ms, is_repeat

    @property
    def body(self):
        if self._body is None:
            self._body = quick(self.text)
        return self._body

    @body.setter
    def body(self, body):
        self._body, self.id.size = body, 0  # it may not be what was scanned

    @property
    def cause(self):
        if self._cause is None:
            self._cause = f"{self.body.source}/{self.body.id}"
        return self._cause

    @cause.setter
    def cause(self, cause):
        self._cause = cause

    @property
    def usage(self):
        return normalised(self.body, self.start_ms, self.end_ms)

    def last_ms(self, long long now_ms):
        return min(self.until_ms - 1, self.payer.ends_ms - 1, now_ms)

    cpdef leave(self):
        self.member.settle_event(self)
        if self.pool is not None:
            self.pool.settle_event(self)

    cdef bint open(self):
        if self.head is not None or self.old_fingerprint is not None or self.fault is not None:
            return False
        return self.answer is None or not isinstance(self.answer, Decision)

    @property
    def is_open(self):
        return self.open()

    @property
    def is_redelivery(self):
        decision = self.answer
        return isinstance(decision, Decision) and decision.known and decision.token == self.token != NO_TOKEN
