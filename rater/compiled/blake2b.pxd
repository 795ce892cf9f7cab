cdef void blake2b16(const char* text, Py_ssize_t size, char* digest) noexcept nogil
