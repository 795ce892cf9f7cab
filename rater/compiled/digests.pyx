"""Identity and marks of an event, compiled: as rater/identity.py has them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from rater.compiled.blake2b cimport blake2b16
from rater.compiled.event cimport Rated
from rater.compiled.fields cimport PayerFields, RawEvent
from rater.compiled.scan cimport CALLED_NUMBER, ID, SESSION_ID, SOURCE, TENANT, Span, letters
from rater.compiled.text cimport Text

from xxhash import xxh3_64_digest

cdef enum:
    MARKS = 24


cdef class Digests:
    """Writes them into events, under one catalogue."""

    def __init__(self, catalogue_key):
        assert len(catalogue_key) == 4
        self._catalogue_key, self._text = catalogue_key, Text()

    cdef int of_fields(self, Rated rated, PayerFields known, Span* fields) except -1:
        """Of an event that was scanned."""
        text = self._text
        text.begin()
        text.add_number(letters(fields[TENANT]), c":")
        text.add_number(letters(fields[SOURCE]), c":")
        text.add_span(fields[TENANT])
        text.add_span(fields[SOURCE])
        text.add_span(fields[ID])
        rated.identity = self.identity()
        text.begin()
        text.add_number(rated.quantity, c",")
        text.add_number(rated.start_ms, c",")
        text.add_number(rated.end_ms, c",")
        text.add_given(fields[CALLED_NUMBER])
        text.add_bytes(known.named)
        text.add_str(rated.shape.text)
        text.add_given(fields[SESSION_ID])
        rated.marks = self.marks(xxh3_64_digest(text.taken()), rated.raw)
        return 0

    cdef int of_body(self, Rated rated, PayerFields known) except -1:
        """Of one that was decoded."""
        cdef str tenant, source
        text, body = self._text, rated._body
        tenant, source = body.tenant, body.source
        text.begin()
        text.add_number(len(tenant), c":")
        text.add_number(len(source), c":")
        text.add_str(tenant)
        text.add_str(source)
        text.add_str(body.id)
        rated.identity = self.identity()
        text.begin()
        text.add_number(rated.quantity, c",")
        text.add_number(rated.start_ms, c",")
        text.add_number(rated.end_ms, c",")
        text.add_str(str(body.called_number))
        text.add_bytes(known.named)
        text.add_str(rated.shape.text)
        text.add_str(str(body.session_id))
        rated.marks = self.marks(xxh3_64_digest(text.taken()), rated.raw)
        return 0

    cdef bytes identity(self):
        """Of the text that was put together."""
        cdef char[16] digest
        blake2b16(self._text.at, self._text.size, digest)
        return PyBytes_FromStringAndSize(digest, 16)

    cdef bytes marks(self, bytes content, RawEvent raw):
        """Fingerprint, delivery token and catalogue."""
        door = raw.door
        if door is not self._door:
            self._door, self._door_digest = door, door.digest if door.redelivers else None
            assert self._door_digest is None or len(self._door_digest) == 6
        if self._door_digest is None or raw.element or not 0 <= raw.position < 1 << 48:
            return content + door.token(raw.position, raw.element) + self._catalogue_key
        cdef bytes marks = PyBytes_FromStringAndSize(NULL, MARKS)
        cdef char* at = PyBytes_AS_STRING(marks)
        cdef unsigned long long position = raw.position
        cdef int place
        memcpy(at, PyBytes_AS_STRING(content), 8)
        memcpy(at + 8, PyBytes_AS_STRING(self._door_digest), 6)
        for place in range(6):
            at[19 - place] = position & 0xFF
            position >>= 8
        memcpy(at + 20, PyBytes_AS_STRING(self._catalogue_key), 4)
        return marks
