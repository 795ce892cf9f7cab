"""Text and bytes that are put together piece by piece."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy


cdef class Text:
    """A buffer that grows, and is used again."""

    def __cinit__(self):
        self.room = 1024
        self.at = <char*> PyMem_Malloc(self.room)
        if self.at == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.at)

    cdef void begin(self) noexcept:
        self.size = 0

    cdef bint make_room(self, Py_ssize_t size) except False:
        """See that so many bytes more fit."""
        if self.size + size > self.room:
            room = 2 * (self.size + size)
            at = <char*> PyMem_Realloc(self.at, room)
            if at == NULL:
                raise MemoryError
            self.at, self.room = at, room
        return True

    cdef bint add(self, const char* piece, Py_ssize_t size) except False:
        self.make_room(size)
        memcpy(self.at + self.size, piece, size)
        self.size += size
        return True

    cdef bint add_span(self, Span piece) except False:
        return self.add(piece.at, piece.size) if piece.at != NULL else True

    cdef bint add_given(self, Span piece) except False:
        """What was given, or "None"."""
        return self.add(piece.at, piece.size) if piece.at != NULL else self.add(b"None", 4)

    cdef bint add_bytes(self, bytes piece) except False:
        return self.add(PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))

    cdef bint add_str(self, str piece) except False:
        cdef Py_ssize_t size
        cdef const char* at = PyUnicode_AsUTF8AndSize(piece, &size)
        return self.add(at, size)

    cdef bint add_number(self, long long value, char behind) except False:
        """In decimal digits, and one character behind it."""
        cdef char[24] digits
        cdef int place = 24
        cdef unsigned long long rest = -<unsigned long long> value if value < 0 else value
        place -= 1
        digits[place] = behind
        while True:
            place -= 1
            digits[place] = c"0" + rest % 10
            rest //= 10
            if not rest:
                break
        if value < 0:
            place -= 1
            digits[place] = c"-"
        return self.add(digits + place, 24 - place)

    cdef bytes taken(self):
        """What was put together."""
        return PyBytes_FromStringAndSize(self.at, self.size)
