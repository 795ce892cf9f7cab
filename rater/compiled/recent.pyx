"""Which events this worker saw lately, compiled: as rater/pipeline/recent.py."""

from rater.pipeline.recent import RECENT_IDS


cdef class Recent:
    """See recent.pxd."""

    def __init__(self, ids=RECENT_IDS):
        self.ids, self.now, self.before = ids, set(), set()

    def saw(self, identity):
        return self.has_seen(identity)

    cdef bint has_seen(self, bytes identity) except -1:
        if identity in self.now or identity in self.before:
            return True
        self.now.add(identity)
        if len(self.now) >= self.ids:
            self.before, self.now = self.now, set()
        return False
