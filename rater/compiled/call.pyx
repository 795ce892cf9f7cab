"""The request of `charge`, compiled: the same bytes as `pack_charge` (rater/wallet/usage_call.py), which says why."""

from rater.compiled.column cimport Column
from rater.compiled.event cimport Debit
from rater.compiled.fields cimport MemberFields, WalletFields
from rater.compiled.call_rows cimport put_cause, put_currency, put_sessions, put_told, splice_of

from rater.money import NANOS as _NANOS
from rater.wallet.member import HEAD_BYTES as _HEAD_BYTES

cdef long long NANOS = _NANOS, AHEAD_MAX = 2**63 - 1
cdef Py_ssize_t HEAD_BYTES = _HEAD_BYTES
cdef bytes EMPTY = b""
cdef object LAST = 1
cdef enum:
    FREE = 256
    UNCOUNTED = 512
    ALLOWED = 1024
    SHARES = 2048
    STEPS = 4  # bytes, behind the head


cdef class Request:
    """The columns of one request; used again for the next."""

    cdef Column wallet, currency, count, members, units, nanos, plain
    cdef Column key, member_before, member_after
    cdef Column identity, told, member_of, after, flag, cause, session
    cdef Column pool, whole
    cdef tuple of_wallets, of_members, of_events
    # Of the wallet that is packed: its events, what is told of the state after each, and their flags.
    cdef list group, afters, flags
    # Of all members: the states of each. What marks those that are in it.
    cdef list befores, befores_after
    cdef object call
    cdef Py_ssize_t first_member

    def __init__(self):
        self.wallet, self.currency, self.count, self.members = Column(), Column(), Column(), Column()
        self.units, self.nanos, self.plain = Column(), Column(), Column()
        self.key, self.member_before, self.member_after = Column(), Column(), Column()
        self.identity, self.told, self.member_of, self.after = Column(), Column(), Column(), Column()
        self.flag, self.cause, self.session, self.pool, self.whole = Column(), Column(), Column(), Column(), Column()

        # As the function reads them: so many rows as there are wallets, members, events.
        self.of_wallets = (
            self.wallet, self.currency, self.count, self.members, self.units, self.nanos, self.plain,
        )  # fmt: skip
        self.of_members = self.key, self.member_before, self.member_after
        self.of_events = (
            self.identity, self.told, self.member_of, self.after, self.flag, self.cause, self.session,
        )  # fmt: skip

    cdef bytes pack(self, list groups, long long now_ms, long long epoch, long long dropped_before_ms):
        cdef Column column
        cdef Py_ssize_t events = 0
        for column in (*self.of_wallets, *self.of_members, *self.of_events, self.pool, self.whole):
            column.begin()
        self.call, self.befores, self.befores_after = object(), [], []
        for group in groups:
            self.pack_group(group)
            events += len(group)
        for before, after in zip(self.befores, self.befores_after):
            self.member_before.put_bytes(before)
            self.member_after.put_bytes(after)
        whole = self.whole
        whole.put_rows(3 + len(self.of_wallets) + len(self.of_members) + len(self.of_events) + 1)
        for number in (now_ms, epoch, dropped_before_ms):
            whole.put_int(number)
        self.put_columns(self.of_wallets, len(groups))
        self.put_columns(self.of_members, len(self.befores))
        self.put_columns(self.of_events, events)
        self.put_columns((self.pool,), len(groups))
        self.group = None
        return whole.taken()

    cdef int put_columns(self, tuple columns, Py_ssize_t rows) except -1:
        cdef Column column
        for column in columns:
            self.whole.put_rows(rows)
            self.whole.add(column.at, column.size)
        return 0

    cdef int pack_group(self, list group) except -1:
        """One wallet's events."""
        if not group:
            raise ValueError("a wallet without events")
        cdef Debit event = group[0]
        cdef Py_ssize_t place
        cdef bint is_plain = True, is_pooled = False
        cdef long long ahead = 0
        cdef WalletFields wallet = event.wallet
        cdef bytes tail = wallet.tail
        self.group, self.afters, self.flags, self.first_member = group, [], [], len(self.befores)
        for place in range(len(group)):
            event = group[place]
            is_pooled = is_pooled or event.pool is not None
            event.place, event.ahead_nanos = place, max(ahead, 0)
            if not self.pack_event(event, tail):
                is_plain = False
            if ahead < 0 or ahead > AHEAD_MAX - event.amount_nanos:
                ahead = -1  # more than can be told, so they are decided one by one
            else:
                ahead += event.amount_nanos
        if is_pooled:
            is_plain = self.pack_pool(group) and is_plain
        else:
            self.pool.put_int(0)
        for state, flag in zip(self.afters, self.flags):
            self.put_state(self.after, state)
            self.flag.put_int(flag)
        self.wallet.put_bytes(wallet.key)
        put_currency(self.currency, group)
        self.count.put_int(len(group))
        self.members.put_int(len(self.befores) - self.first_member)
        self.units.put_int(max(ahead, 0) // NANOS)
        self.nanos.put_int(max(ahead, 0) % NANOS)
        self.plain.put_int(is_plain and ahead >= 0)
        return 0

    cdef int put_state(self, Column column, object state) except -1:
        return column.put_int(1) if state is LAST else column.put_bytes(state)

    cdef bint pack_event(self, Debit event, bytes tail) except -1:
        """One event; whether it may be charged at once with others."""
        cdef int flag = 0
        cdef bint is_plain = True, is_refused = bool(event.refuse), by_counters
        cdef bytes upon, after_it = event.after
        cdef MemberFields member = event.member
        cdef Py_ssize_t at = self.place_of(event, member)
        # What is refused may be so because of the counters; if it is not, it does not matter what it was rated upon.
        by_counters = (is_refused or len(<tuple?> event.counters) > 0) and event.pool is not member
        upon = self.befores_after[at] or self.befores[at]
        if event.before is not upon and event.before != upon and (
            after_it or by_counters or steps_of(event.before) != steps_of(upon)
        ):
            # It was rated upon an event that is not in this call, so the states told do not follow from each other; or
            # before a step that those beside it know of.
            after_it, flag, is_plain = EMPTY, UNCOUNTED, False
        if after_it:
            if member.last >= 0:
                self.afters[member.last] = splice_of((<Debit> self.group[member.last]).before, upon)
            self.befores_after[at], member.last = after_it, len(self.afters)
            self.afters.append(LAST)
        else:
            self.afters.append(EMPTY)
        self.identity.put_bytes(event.identity)
        put_told(self.told, event, tail)
        self.member_of.put_int(at + 1)
        put_cause(self.cause, event)
        put_sessions(self.session, event)
        # Free usage, and what allowances pay, only matter where somebody is held: then nothing is charged at once.
        if is_refused or event.uncounted or event.sessions:
            is_plain = False
        flag = flag or UNCOUNTED * event.uncounted
        self.flags.append(flag + event.refuse + FREE * event.free + ALLOWED * event.allowed)
        return is_plain and event.version == member.version

    cdef Py_ssize_t place_of(self, Debit event, MemberFields member) except -1:
        """The place of its member, which is in one wallet."""
        if member.mark is not self.call:
            member.mark, member.place, member.last = self.call, len(self.befores), -1
            self.key.put_bytes(member.key)
            self.befores.append(event.before)
            self.befores_after.append(EMPTY)
        elif member.place < self.first_member:
            raise ValueError(f"{event.cause}: one member of two wallets")
        return member.place

    cdef bint pack_pool(self, list group) except -1:
        """The wallet's pool; whether all events were rated upon it, each upon the one before."""
        cdef Debit event
        cdef bint follows = True, shares = False
        cdef Py_ssize_t place, last = -1
        cdef bytes before = None, after = EMPTY
        cdef list afters = []
        pool = None
        for event in group:
            if event.pool is not None:
                pool, before = event.pool, event.pool_before
                break
        for place in range(len(group)):
            event = group[place]
            afters.append(EMPTY)
            if event.pool is not pool or event.pool_before != (after or before):
                follows = False
                self.flags[place] |= UNCOUNTED
            elif event.pool_after:
                if last >= 0:
                    afters[last] = splice_of((<Debit> group[last]).pool_before, after)
                after, last, shares = event.pool_after, place, event.shares
                afters[place] = LAST
                self.flags[place] |= SHARES * shares
        column = self.pool
        column.put_rows(5)
        column.put_bytes(pool.key)
        column.put_bytes(before)
        column.put_bytes(after)
        column.put_rows(len(afters))
        for state in afters:
            self.put_state(column, state)
        column.put_byte(0xC3 if shares else 0xC2)
        return follows


cdef bytes steps_of(bytes state):
    return state[HEAD_BYTES : HEAD_BYTES + STEPS]


cdef Request REQUEST = Request()


def pack_charge(groups, long long now_ms, long long epoch, long long dropped_before_ms):
    """See the module."""
    return REQUEST.pack(list(groups), now_ms, epoch, dropped_before_ms)
