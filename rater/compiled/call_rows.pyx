"""What a request tells of an event, and of the states around it, as rows of its columns. See rater/compiled/call.pyx."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from rater.compiled.column cimport Column
from rater.compiled.event cimport Debit, Rated

import struct

from rater.money import NANOS as _NANOS
from rater.wallet.member import HEAD_BYTES as _HEAD_BYTES
from rater.wallet.verdict import pack_cover

cdef long long NANOS = _NANOS
cdef Py_ssize_t HEAD_BYTES = _HEAD_BYTES


cdef int put_currency(Column column, list group) except -1:
    """One for all events, or one for each."""
    cdef Debit event = group[0]
    currency = event.currency
    for event in group:
        if event.currency is not currency and event.currency != currency:
            break
    else:
        return column.put_str(currency)
    column.put_rows(len(group))
    for event in group:
        column.put_str(event.currency)
    return 0


cdef int put_told(Column told, Debit event, bytes tail) except -1:
    """The caller's part of an event's verdict; `tail` is the wallet's name."""
    cdef bytes marks = event.marks, cover = event.cover
    cdef tuple counters = event.counters
    cdef long long units = event.amount_nanos // NANOS, value
    cdef unsigned int nanos = event.amount_nanos % NANOS, version = event.version, low = units & 0xFFFFFFFF
    cdef unsigned char high = units >> 32
    cdef unsigned short place = event.place
    if event.amount_nanos < 0:
        raise struct.error(f"{event.cause}: a negative amount")
    if cover:
        cover = pack_cover(cover)
    told.put_length(23 + len(marks) + len(tail) + 8 * len(counters) + len(cover))
    told.make_room(23)
    cdef char* at = told.at + told.size
    memcpy(at, &place, 2)
    memcpy(at + 2, &event.ahead_nanos, 8)
    memcpy(at + 10, &low, 4)
    memcpy(at + 14, &high, 1)
    memcpy(at + 15, &nanos, 4)
    memcpy(at + 19, &version, 4)
    told.size += 23
    told.add_bytes(marks)
    told.add_bytes(tail)
    for counter in counters:
        value = counter
        told.add(<char*> &value, 8)
    told.add_bytes(cover)
    return 0


cdef int put_cause(Column column, Debit event) except -1:
    """ "source/id", of a scanned event from the bytes it came in."""
    cdef Rated rated
    cdef const char* raw
    if type(event) is Rated:
        rated = <Rated> event
        if rated._cause is None and rated.id.size:
            raw = PyBytes_AS_STRING(rated.text)
            column.put_length(rated.source.size + 1 + rated.id.size)
            column.add(raw + rated.source.at, rated.source.size)
            column.add(b"/", 1)
            column.add(raw + rated.id.at, rated.id.size)
            return 0
    return column.put_str(event.cause)


cdef int put_sessions(Column column, Debit event) except -1:
    if not event.sessions:
        return column.put_int(0)
    column.put_rows(len(event.sessions))
    for use in event.sessions:
        column.put_rows(3)
        column.put_str(use.field)
        column.put_str(str(use.before))
        column.put_str(str(use.after))
    return 0


cdef bytes splice_of(bytes before, bytes after):
    """As `splice_of` (rater/wallet/member.py)."""
    cdef const char* old = PyBytes_AS_STRING(before) + min(HEAD_BYTES, PyBytes_GET_SIZE(before))
    cdef const char* new = PyBytes_AS_STRING(after) + min(HEAD_BYTES, PyBytes_GET_SIZE(after))
    cdef Py_ssize_t of_old = PyBytes_GET_SIZE(before) - (old - PyBytes_AS_STRING(before))
    cdef Py_ssize_t of_new = PyBytes_GET_SIZE(after) - (new - PyBytes_AS_STRING(after))
    cdef Py_ssize_t size = min(of_old, of_new)
    cdef unsigned int head = 0, tail = 0
    while head < size and old[head] == new[head]:
        head += 1
    while tail < size - head and old[of_old - 1 - tail] == new[of_new - 1 - tail]:
        tail += 1
    cdef bytes splice = PyBytes_FromStringAndSize(NULL, 8 + of_new - head - tail)
    cdef char* at = PyBytes_AS_STRING(splice)
    memcpy(at, &head, 4)
    memcpy(at + 4, &tail, 4)
    memcpy(at + 8, new + head, of_new - head - tail)
    return splice
