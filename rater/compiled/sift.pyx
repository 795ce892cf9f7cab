"""What the stages ask of all events of a batch at once, compiled: as rater/pipeline/sift.py."""

from rater.compiled.event cimport Debit, Rated
from rater.compiled.fields cimport Head, WalletFields


def open_of(items):
    cdef list found = []
    for item in items:
        if type(item) is Rated and (<Rated> item).open():
            found.append(item)
    return found


def moved_of(events):
    cdef Rated event
    return [event for event in events if event.payer.has_moved]


def before_of(events, long long at_ms):
    cdef Rated event
    cdef list found = []
    for event in events:
        if event.start_ms < at_ms:
            found.append(event)
    return found


def due_of(events):
    cdef Rated event
    cdef list found = []
    for event in events:
        if event.is_due and not event.is_repeat:
            found.append(event)
    return found


def split_repeats(events):
    cdef Rated event
    cdef list first = [], repeats = []
    for event in events:
        if event.is_repeat:
            repeats.append(event)
        else:
            first.append(event)
    return first, repeats


def let_go_charged(events):
    cdef Rated event
    cdef list others = []
    for event in events:
        if event.head is None:
            others.append(event)
        elif event.counts:
            event.leave()
    return others


def redeliveries_of(items):
    cdef list found = []
    for item in items:
        if type(item) is Rated and (<Rated> item).head is None and (<Rated> item).is_redelivery:
            found.append(item)
    return found


def by_wallet(events):
    cdef Debit event
    cdef dict shards = {}
    cdef dict groups
    cdef WalletFields wallet
    for event in events:
        wallet = event.wallet
        groups = shards.get(wallet.shard)
        if groups is None:
            groups = shards[wallet.shard] = {}
        group = groups.get(wallet.key)
        if group is None:
            groups[wallet.key] = [event]
        else:
            (<list> group).append(event)
    return shards


def put_head(list group, Head head):
    cdef Debit event
    for event in group:
        event.head = head
