from libc.stdint cimport uint64_t


cdef class Recent:
    cdef uint64_t* slots
    cdef readonly Py_ssize_t ids

    cdef bint saw_identity(self, const char* identity) noexcept
