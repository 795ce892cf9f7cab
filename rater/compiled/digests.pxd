from rater.compiled.event cimport Rated
from rater.compiled.fields cimport PayerFields, RawEvent
from rater.compiled.scan cimport Span
from rater.compiled.text cimport Text


cdef class Digests:
    cdef object _door
    cdef bytes _catalogue_key, _door_digest
    cdef Text _text

    cdef int of_fields(self, Rated rated, PayerFields known, Span* fields) except -1
    cdef int of_body(self, Rated rated, PayerFields known) except -1
    cdef bytes identity(self)
    cdef bytes marks(self, bytes content, RawEvent raw)
