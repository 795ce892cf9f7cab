from rater.compiled.scan cimport Span


cdef class Text:
    cdef char* at
    cdef Py_ssize_t size, room

    cdef void begin(self) noexcept
    cdef bint make_room(self, Py_ssize_t size) except False
    cdef bint add(self, const char* piece, Py_ssize_t size) except False
    cdef bint add_span(self, Span piece) except False
    cdef bint add_given(self, Span piece) except False
    cdef bint add_bytes(self, bytes piece) except False
    cdef bint add_str(self, str piece) except False
    cdef bint add_number(self, long long value, char behind) except False
    cdef bytes taken(self)
