cdef class Streamer:
    """Reads the records of one decoder."""

    cdef bint is_read, is_guessed, is_once
    cdef bytes begun_emnify, begun_once

    cdef bytes plain(self, bytes raw)
