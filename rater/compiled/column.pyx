"""MessagePack, as `msgpack.packb(..., use_bin_type=False)` writes it: numbers, texts, and how many of what follow."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from rater.compiled.text cimport Text


cdef class Column(Text):
    """One column of the request, as MessagePack without its length."""

    cdef int put_byte(self, unsigned char byte) except -1:
        self.make_room(1)
        self.at[self.size] = byte
        self.size += 1
        return 0

    cdef int put_big_endian(self, unsigned char sort, unsigned long long value, int size) except -1:
        self.make_room(9)
        self.at[self.size] = sort
        cdef int place
        for place in range(size):
            self.at[self.size + size - place] = value & 0xFF
            value >>= 8
        self.size += 1 + size
        return 0

    cdef int put_int(self, long long value) except -1:
        if value >= 0:
            if value < 0x80:
                return self.put_byte(<unsigned char> value)
            if value <= 0xFF:
                return self.put_big_endian(0xCC, value, 1)
            if value <= 0xFFFF:
                return self.put_big_endian(0xCD, value, 2)
            if value <= 0xFFFFFFFF:
                return self.put_big_endian(0xCE, value, 4)
            return self.put_big_endian(0xCF, value, 8)
        if value >= -0x20:
            return self.put_byte(<unsigned char> (0x100 + value))
        if value >= -0x80:
            return self.put_big_endian(0xD0, value, 1)
        if value >= -0x8000:
            return self.put_big_endian(0xD1, value, 2)
        if value >= -0x80000000:
            return self.put_big_endian(0xD2, value, 4)
        return self.put_big_endian(0xD3, value, 8)

    cdef int put_length(self, Py_ssize_t size) except -1:
        """Of a text that follows, in the old notation."""
        return self.put_size(size, 0xA0, 0x20, 0xDA)

    cdef int put_bytes(self, bytes text) except -1:
        self.put_length(PyBytes_GET_SIZE(text))
        self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        return 0

    cdef int put_str(self, str text) except -1:
        return self.put_bytes(text.encode())

    cdef int put_rows(self, Py_ssize_t rows) except -1:
        return self.put_size(rows, 0x90, 0x10, 0xDC)

    cdef int put_size(self, Py_ssize_t size, unsigned char fixed, Py_ssize_t fixed_max, unsigned char sort) except -1:
        """In the byte of the sort itself, in two bytes behind it, or in four behind the next sort."""
        if size < fixed_max:
            return self.put_byte(<unsigned char> (fixed | size))
        if size <= 0xFFFF:
            return self.put_big_endian(sort, size, 2)
        return self.put_big_endian(sort + 1, size, 4)
