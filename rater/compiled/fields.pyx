"""What the hot path reads of events, wallets, members and payers, as fields of C structs.

Each is the base of a class in Python, which says what the fields mean and does all that is not done for every event.
"""

cimport cython
from cpython.object cimport PyObject

from collections import deque

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define RATER_FETCH(at) __builtin_prefetch((const char*) (at))
    #else
    #define RATER_FETCH(at) ((void) (at))
    #endif
    """
    void fetch_line "RATER_FETCH"(const char* at) noexcept

cdef extern from "Python.h":
    ctypedef struct PyDictObject:
        void* ma_keys

cdef enum:
    LINE = 64


@cython.no_gc
cdef class RawEvent:
    """See fields.pxd."""

    def __init__(self, value, door, position, headers=(), element=0):
        self.value, self.door, self.position, self.headers, self.element = value, door, position, headers, element


@cython.no_gc
cdef class Head:
    """See fields.pxd."""

    def __init__(self, epoch, n, decided_ms, balance_nanos):
        self.epoch, self.n, self.decided_ms, self.balance_nanos = epoch, n, decided_ms, balance_nanos


cdef class WalletFields:
    """Of rater.wallet.debit.WalletRef."""


cdef class MemberFields:
    """Of rater.wallet.member.Member. What is called for each event needs no look-up of a method."""

    def queue(self, event):
        self.queue_event(event)

    def settle(self, event):
        self.settle_event(event)

    cdef int queue_event(self, event) except -1:
        pending = self.pending
        if not pending:
            self.pending = (event,)
        elif type(pending) is tuple:
            self.pending = deque((pending[0], event))
        else:
            pending.append(event)
        return 0

    cdef int settle_event(self, event) except -1:
        pending = self.pending
        if type(pending) is tuple:
            if pending and (<tuple> pending)[0] is event:
                self.pending = ()
            return 0
        if pending[0] is event:
            pending.popleft()
        elif event in pending:
            pending.remove(event)
        if not pending:
            self.pending = ()
        return 0


cdef class PayerFields:
    """Of rater.pipeline.payer.Payer."""

    cdef int take(self) except -1:
        """Note what is read of it for each event."""
        identifier = self.subscriber.id
        self.named, self.begun = f",{len(identifier)},{identifier}".encode(), self.text.encode()
        self.offers = self.book.last
        return 0


cdef class SimFields:
    """Of rater.pipeline.sims.Sim."""


cdef class OfferFields:
    """Of rater.pipeline.payer.Offer."""


cdef inline void fetch(void* at, int lines) noexcept:
    cdef int line
    for line in range(lines):
        fetch_line(<const char*> at + line * LINE)


cdef int fetch_known(list sims) except -1:
    """Have the processor fetch what will be read of some SIMs, step by step for all of them.

    A SIM that was last met minutes ago is in no cache, and one object leads to the next: waiting for each of them in
    turn costs a microsecond an event.
    """
    cdef SimFields sim
    cdef PayerFields payer
    cdef MemberFields member
    for sim in sims:
        fetch(<PyObject*> sim.payer, 3)
    for sim in sims:
        payer = sim.payer
        if payer is not None:
            fetch(<PyObject*> payer.member, 3)
            fetch(<PyObject*> payer.wallet, 1)
    for sim in sims:
        payer = sim.payer
        if payer is not None:
            member = payer.member
            fetch(<PyObject*> member.state, 3)
            fetch(<PyObject*> member.counters, 1)
    for sim in sims:
        payer = sim.payer
        if payer is not None and payer.member.counters is not None:
            fetch((<PyDictObject*> payer.member.counters).ma_keys, 4)
    return 0
