cdef class Recent:
    """See rater.pipeline.recent.Recent."""

    cdef Py_ssize_t ids
    cdef set now, before

    cdef bint has_seen(self, bytes identity) except -1
