"""The records of what was charged at once, compiled: the same bytes as rater/pipeline/charged.py has them.

What is late, or an allowance paid for, is written there.
"""

from cpython.bytes cimport PyBytes_AS_STRING

from rater.compiled.event cimport Piece, Rated
from rater.compiled.fields cimport Head, PayerFields, RawEvent
from rater.compiled.price cimport PricedBy
from rater.compiled.text cimport Text

from rater.pipeline.records import covered_record, plain_record
from schemas.rated import quoted, rare_text

cdef const char* HEX = b"0123456789abcdef"
cdef long long BILLED_MAX = 2**53
cdef Text TEXT = Text()


def settle_charged(list items, Py_ssize_t place, list messages, dict charged):
    """See the module."""
    cdef Py_ssize_t at
    cdef Rated event
    cdef Head head
    cdef bint is_late
    for at in range(place, len(items)):
        if type(items[at]) is not Rated:
            return at
        event = <Rated> items[at]
        head = event.head
        if head is None or event.charge is not None:
            return at
        is_late = head.decided_ms >= event.offer.billed_until_ms
        if event.given is not None:
            if is_late:
                return at
            value = covered_record(event, event.given, head)
        elif is_late or event.billed > BILLED_MAX:
            value = plain_record(event, head)
        else:
            value = record(event, head)
        messages.append((event.payer.key, value))
        charged[event.currency] = charged.get(event.currency, 0) + event.amount_nanos
    return len(items)


cdef bytes record(Rated event, Head head):
    """The record of usage that is not late."""
    cdef PayerFields payer = event.payer
    cdef PricedBy offer = event.offer.compiled
    cdef RawEvent raw = event.raw
    cdef long long n = head.n, balance = head.balance_nanos
    if payer.offers is None:
        payer.take()
    if offer is None:
        offer = event.offer.compiled = PricedBy(event.offer)
    text = TEXT
    balance -= event.ahead_nanos
    text.begin()
    text.add_bytes(payer.begun)
    add_identity(text, event)
    text.add_bytes(offer.text)
    text.add_number(head.epoch, c",")
    add_field(text, b'"n":', 4, n + event.place)
    add_field(text, b'"quantity":', 11, event.quantity)
    add_field(text, b'"billable_quantity":', 20, event.billed)
    add_field(text, b'"amount_nanos":', 15, event.amount_nanos)
    add_field(text, b'"charged_nanos":', 16, event.amount_nanos)
    add_field(text, b'"balance_before_nanos":', 23, balance)
    add_field(text, b'"balance_after_nanos":', 22, balance - event.amount_nanos)
    add_field(text, b'"start_ms":', 11, event.start_ms)
    add_field(text, b'"end_ms":', 9, event.end_ms)
    add_field(text, b'"rated_ms":', 11, head.decided_ms)
    text.add(b'"door":', 7)
    text.add_str(raw.door.text)
    text.add(b',"position":', 12)
    text.add_number(raw.position, c",")
    text.add(b'"fingerprint":"', 15)
    add_hex(text, PyBytes_AS_STRING(<bytes> event.marks), 8)
    text.add(b'"', 1)
    add_rare(text, event)
    text.add(b"}", 1)
    return text.taken()


cdef int add_identity(Text text, Rated event) except -1:
    cdef const char* value
    if event.id.size:
        value = PyBytes_AS_STRING(event.text)
        add_piece(text, b'"', 1, event.source, value)
        add_piece(text, b',"id":"', 7, event.id, value)
        return 0
    body = event.body
    text.add_str(quoted(body.source))
    text.add(b',"id":', 6)
    text.add_str(quoted(body.id))
    return 0


cdef int add_rare(Text text, Rated event) except -1:
    cdef const char* value
    if not event.id.size:
        body = event.body
        if body.session_id is not None or body.called_number is not None:
            text.add_str(rare_text(called_number=body.called_number, session_id=body.session_id))
        return 0
    value = PyBytes_AS_STRING(event.text)
    if event.called_number.size:
        add_piece(text, b',"called_number":"', 18, event.called_number, value)
    if event.session_id.size:
        add_piece(text, b',"session_id":"', 15, event.session_id, value)
    return 0


cdef int add_field(Text text, const char* name, Py_ssize_t size, long long value) except -1:
    text.add(name, size)
    text.add_number(value, c",")
    return 0


cdef int add_piece(Text text, const char* before, Py_ssize_t size, Piece piece, const char* raw) except -1:
    """A text of the event; it was scanned, so it is written as it stood there."""
    text.add(before, size)
    text.add(raw + piece.at, piece.size)
    text.add(b'"', 1)
    return 0


cdef int add_hex(Text text, const char* digest, int size) except -1:
    cdef int place
    text.make_room(2 * size)
    for place in range(size):
        text.at[text.size] = HEX[(<unsigned char> digest[place]) >> 4]
        text.at[text.size + 1] = HEX[(<unsigned char> digest[place]) & 15]
        text.size += 2
    return 0
