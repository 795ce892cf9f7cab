"""Which events this worker saw lately, compiled: as `Recent` (rater/pipeline/recent.py), in one table.

An id stands where its first bits say, until another one falls on its place. It is a digest, so its first 64 bits tell.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef enum:
    SLOTS = 1 << 19  # 4 MiB


cdef class Recent:
    """See the module."""

    def __cinit__(self):
        self.ids = SLOTS
        self.slots = <uint64_t*> calloc(SLOTS, sizeof(uint64_t))
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.slots)

    def saw(self, bytes identity not None):
        """Whether it came lately; from now on it did."""
        assert len(identity) >= 8
        return self.saw_identity(PyBytes_AS_STRING(identity))

    cdef bint saw_identity(self, const char* identity) noexcept:
        cdef uint64_t digest
        memcpy(&digest, identity, sizeof(digest))
        cdef uint64_t* slot = &self.slots[digest & (SLOTS - 1)]
        if slot[0] == digest:
            return True
        slot[0] = digest
        return False
