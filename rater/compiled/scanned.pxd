from rater.compiled.event cimport Rated
from rater.compiled.fields cimport RawEvent
from rater.compiled.scan cimport Span
from rater.compiled.streamer cimport Streamer


cdef Rated scanned(RawEvent raw, Streamer streamer, Span* fields, long long oldest_ms, long long newest_ms)
