# Where the fields of a Data Streamer record stand. See streamer_scan.pyx.

from rater.compiled.scan cimport Span

cdef enum:
    ID, TRAFFIC, START, END, TOTAL, TX, RX, ICCID, MSISDN, IMSI, MCC, MNC, SESSION, IPCAN_SESSION
    KEPT

ctypedef struct Found:
    Span[KEPT] fields
    unsigned long long seen
    bint is_row, is_once, is_mixed  # once: 1NCE's by its look; mixed: names of records and of rows


cdef bint find(const char* at, const char* end, bint is_row, Found* found) noexcept nogil
