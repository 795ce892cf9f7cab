from rater.compiled.text cimport Text


cdef class Column(Text):
    cdef int put_byte(self, unsigned char byte) except -1
    cdef int put_big_endian(self, unsigned char sort, unsigned long long value, int size) except -1
    cdef int put_int(self, long long value) except -1
    cdef int put_length(self, Py_ssize_t size) except -1
    cdef int put_bytes(self, bytes text) except -1
    cdef int put_str(self, str text) except -1
    cdef int put_rows(self, Py_ssize_t rows) except -1
    cdef int put_size(self, Py_ssize_t size, unsigned char fixed, Py_ssize_t fixed_max, unsigned char sort) except -1
