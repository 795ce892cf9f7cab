"""A plain row of CSV as a JSON object, compiled: as schemas/adapters/csv_records.py writes it.

Plain is a row of as many cells as there are names, each in quotation marks or none of them, without quotation marks,
backslashes or control characters inside; any other is left to that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from rater.compiled.scan cimport is_utf8
from rater.compiled.text cimport Text

cdef Text TEXT = Text()
cdef enum:
    LINE_MAX = 65_536  # csv.reader refuses a cell of twice as much


def plain_row(list names not None, bytes line not None):
    """A JSON object from name to cell, empty cells left out; names are written as JSON, with the colon behind them."""
    cdef const char* at = PyBytes_AS_STRING(line)
    cdef const char* end = at + PyBytes_GET_SIZE(line)
    cdef const char* begin
    cdef bint is_quoted
    cdef Py_ssize_t cell, cells = len(names)
    cdef char before = c"{"
    text = TEXT
    if end - at > LINE_MAX or not cells:
        return None
    text.begin()
    for cell in range(cells):
        is_quoted = at < end and at[0] == c'"'
        begin = at + is_quoted
        at = past_cell(begin, end, is_quoted)
        if at == NULL or (at == end) != (cell == cells - 1):
            return None
        if at - is_quoted > begin:
            text.add(&before, 1)
            text.add_bytes(names[cell])
            text.add(b'"', 1)
            text.add(begin, at - is_quoted - begin)
            text.add(b'"', 1)
            before = c","
        at += 1
    if before == c"{":
        text.add(&before, 1)
    text.add(b"}", 1)
    return text.taken() if is_utf8(line) else None


cdef const char* past_cell(const char* at, const char* end, bint is_quoted) noexcept nogil:
    """Where the comma behind a cell stands, or the line ends; NULL for a cell that is not plain."""
    while at < end and at[0] != c'"' and (is_quoted or at[0] != c","):
        if 0 <= at[0] < 32 or at[0] == c"\\":
            return NULL
        at += 1
    if not is_quoted:
        return at if at == end or at[0] == c"," else NULL
    if at == end:
        return NULL
    at += 1
    return at if at == end or at[0] == c"," else NULL
