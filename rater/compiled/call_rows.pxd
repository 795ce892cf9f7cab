from rater.compiled.column cimport Column
from rater.compiled.event cimport Debit


cdef int put_currency(Column column, list group) except -1
cdef int put_told(Column told, Debit event, bytes tail) except -1
cdef int put_cause(Column column, Debit event) except -1
cdef int put_sessions(Column column, Debit event) except -1
cdef bytes splice_of(bytes before, bytes after)
