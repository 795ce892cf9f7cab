"""What a plain event costs where its terms are one line (rater/rating/terms.py), and the counters after it, compiled.

The same as `price_plainly` (rater/pipeline/pricing.py), in integers of 64 and 128 bits; what does not fit is its own.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_Next
from cpython.object cimport PyObject
from libc.string cimport memcpy

from rater.compiled.event cimport Rated
from rater.compiled.fields cimport MemberFields

from rater.compiled import INTERPRETED
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.counting import COUNTER_MAX as _COUNTER_MAX
from rater.pipeline.counting import advance as advance_in_full
from rater.wallet.member import VALUES_AT as _VALUES_AT
from schemas.checks import QUANTITY_MAX as _QUANTITY_MAX

cdef extern from *:
    ctypedef long long int128 "__int128"

cdef long long COUNTER_MAX = _COUNTER_MAX, QUANTITY_MAX = _QUANTITY_MAX, AMOUNT_MAX = AMOUNT_MAX_NANOS
cdef Py_ssize_t VALUES_AT = _VALUES_AT


cdef class PricedBy:
    """See price.pxd."""

    def __init__(self, offer):
        self.rate, self.refuse, self.keys = offer.rate, offer.refuse, offer.keys
        self.low_ms, self.high_ms, self.is_free = offer.low_ms, offer.high_ms, offer.is_free
        self.text = offer.text.encode()
        if not offer.refuse and not offer.is_free and offer.terms.steps is not None and len(self.keys) <= 2:
            self.has_line = self.take(*offer.terms.steps)

    def take(self, first, following, is_carried, line):
        """Take over steps and line; whether they fit, so that no sum or product passes its integer below."""
        below, prices, costs, *rounding = line
        if len(prices) > TIERS_MAX or max(first, following, *below, *prices, *costs, *map(abs, rounding)) > COUNTER_MAX:
            return False
        self.first, self.following, self.is_carried, self.tiers = first, following, is_carried, len(prices)
        self.base, self.divisor, self.step = rounding
        for tier in range(len(prices)):
            self.below[tier], self.prices[tier], self.costs[tier] = below[tier], prices[tier], costs[tier]
        return True


cdef int tier_of(PricedBy by, long long total) noexcept:
    """The tier in which a total ends; a bound belongs to the lower one."""
    cdef int tier = by.tiers - 1
    while tier > 0 and total <= by.below[tier]:
        tier -= 1
    return tier


cdef int128 cost_of(PricedBy by, long long before, long long billed) noexcept:
    """What a quantity costs by the tiers, scaled as the line is."""
    cdef int tier = tier_of(by, before + billed), first
    if before >= by.below[tier]:
        return <int128> by.prices[tier] * billed
    first = tier_of(by, before)
    return (
        by.costs[tier] + <int128> by.prices[tier] * (before + billed - by.below[tier])
        - by.costs[first] - <int128> by.prices[first] * (before - by.below[first])
    )


cdef bint line_of(Rated rated, PricedBy by, Priced* priced) except -1:
    """Price it; whether it could be."""
    cdef dict counters
    cdef long long quantity = rated.quantity, up, billed
    cdef int128 total
    cdef int place, keys = <int> len(by.keys)
    if rated.until_ms > by.high_ms:
        return False
    if not by.has_line or quantity <= 0:
        return terms_of(rated, by, priced)
    if keys:
        counters = rated.member.counters
        for place in range(keys):
            found = PyDict_GetItem(counters, by.keys[place])
            priced.before[place] = <object> found if found != NULL else 0
    if by.is_carried:
        up = by.following - 1
        billed = (priced.before[0] + quantity + up) // by.following - (priced.before[0] + up) // by.following
        billed *= by.following
        priced.after[0] = priced.before[0] + quantity
    elif quantity <= by.first:
        billed = by.first
    else:
        billed = by.first + (quantity - by.first + by.following - 1) // by.following * by.following
    if keys and not by.is_carried:
        priced.after[0] = priced.before[0] + billed
    elif keys > 1:
        priced.after[1] = priced.before[1] + billed
    # Tiers of an event begin anew with it; those of a cycle count from what was billed in it, the last of the counters.
    total = (cost_of(by, priced.before[keys - 1] if keys > by.is_carried else 0, billed) + by.base) // by.divisor
    if total > COUNTER_MAX:
        return False
    total *= by.step
    if total > AMOUNT_MAX:
        return False
    priced.billed, priced.amount_nanos = billed, <long long> total
    return True


cdef bint terms_of(Rated rated, PricedBy by, Priced* priced) except -1:
    """Price it by the function of its terms."""
    cdef int place
    if by.refuse or len(by.keys) > 2:
        return False
    plain = by.rate(rated.quantity, rated.member.counters)
    if plain is None:
        return False
    billed, amount, before, after = plain
    if amount > AMOUNT_MAX or billed > QUANTITY_MAX:
        return False
    priced.billed, priced.amount_nanos = billed, amount
    for place in range(<int> len(after)):
        if after[place] > COUNTER_MAX:
            return False
        priced.before[place], priced.after[place] = before[place], after[place]
    return True


cdef int advance(Rated rated, PricedBy by, Priced* priced, long long now_ms) except -1:
    """Take the price over, and count the event."""
    cdef int place, keys = <int> len(by.keys)
    cdef MemberFields member = rated.member
    rated.before, rated.free, rated.billed = member.state, by.is_free, priced.billed
    rated.amount_nanos = priced.amount_nanos
    if not keys:
        rated.counters = ()
        return 0
    rated.counters = tuple_of(priced.before, keys)
    if rated.is_repeat or member.is_held:
        rated.uncounted = True
        return 0
    cdef dict counters = member.counters
    cdef bytes state = rated.before
    cdef bint is_known = packed_counters(state) == len(counters)  # else old ones are on their way out of the state
    for place in range(keys):
        is_known = is_known and priced.after[place] <= COUNTER_MAX and by.keys[place] in counters
    if not is_known:
        advance_in_full(rated, by.keys, tuple_of(priced.after, keys), now_ms)
        return 0
    cdef bytes new = PyBytes_FromStringAndSize(PyBytes_AS_STRING(state), PyBytes_GET_SIZE(state))
    for place in range(keys):
        counters[by.keys[place]] = priced.after[place]
        memcpy(
            PyBytes_AS_STRING(new) + VALUES_AT + 8 * place_of(by.keys[place], counters), &priced.after[place],
            sizeof(long long),
        )  # fmt: skip
    member.state = rated.after = new
    rated.counts = True
    return 0


cdef tuple tuple_of(long long* values, int size):
    if size == 1:
        return (values[0],)
    return (values[0], values[1])


cdef int packed_counters(bytes state) noexcept:
    """How many counters a packed member has."""
    cdef unsigned short count = 0
    if PyBytes_GET_SIZE(state) >= VALUES_AT:
        memcpy(&count, PyBytes_AS_STRING(state) + VALUES_AT - 2, 2)
    return count


cdef Py_ssize_t place_of(str key, dict counters):
    """The place of a counter among all of its member, which is its place in the packed state."""
    cdef Py_ssize_t at = 0, place = 0
    cdef PyObject* found
    cdef PyObject* value
    while PyDict_Next(counters, &at, &found, &value):
        if found == <PyObject*> key or <str> <object> found == key:
            break
        place += 1
    return place


def price_plainly(Rated rated, long long now_ms):
    """As the twin of this name (rater/pipeline/pricing.py)."""
    cdef PricedBy by
    cdef Priced priced
    if rated.pool is None:
        by = rated.offer.compiled
        if by is None:
            by = rated.offer.compiled = PricedBy(rated.offer)
        if line_of(rated, by, &priced):
            advance(rated, by, &priced, now_ms)
            return True
    return INTERPRETED["price_plainly"](rated, now_ms)


def priced(offer, long long quantity, counters):
    """(billed, nanos, before, after) as `Terms.rate`, None where that is left to Python. For tests."""
    cdef PricedBy by = PricedBy(offer)
    cdef Rated rated = Rated.__new__(Rated)
    cdef Priced found
    cdef int keys = <int> len(by.keys)
    rated.quantity, rated.member = quantity, MemberFields()
    rated.member.counters = counters
    if not line_of(rated, by, &found):
        return None
    if not keys:
        return found.billed, found.amount_nanos, (), ()
    return found.billed, found.amount_nanos, tuple_of(found.before, keys), tuple_of(found.after, keys)
