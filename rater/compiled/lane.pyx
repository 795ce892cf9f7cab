"""The quick lane, compiled: a plain JSON event of a known shape and SIM, from its bytes to its wallet entry.

The same as `InterpretedLane` (rater/pipeline/quick.py) and what follows it, which say what is done and why; what this
does not read, or cannot rate by one line, goes their way.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8

from rater.compiled.digests cimport Digests
from rater.compiled.event cimport Rated
from rater.compiled.fields cimport OfferFields, PayerFields, RawEvent, SimFields, fetch_known
from rater.compiled.price cimport Priced, PricedBy, advance, line_of
from rater.compiled.recent cimport Recent
from rater.compiled.scan cimport (
    CALLED_NUMBER, COUNTRY, DESTINATION_COUNTRY, DIRECTION, FIELDS, ICCID, KIND, MCC, MNC, SERVICE, TENANT, Span,
)
from rater.compiled.scanned cimport scanned
from rater.compiled.streamer cimport Streamer
from rater.compiled.text cimport Text

from rater.pipeline.batch import Fault, Faulted
from schemas.checks import is_e164
from schemas.shape import SHAPES_MAX as _SHAPES_MAX

cdef Py_ssize_t SHAPES_MAX = _SHAPES_MAX
cdef enum:
    TOGETHER = 16  # events; what they read fits in the nearest cache


cdef class QuickLane:
    """See the module."""

    cdef object _shape, _number_class, _rater, _price, _order
    cdef Digests _digests
    cdef dict _sims, _shapes
    # Of the few that are looked at together: what was read of each, and its SIM.
    cdef Span[TOGETHER * FIELDS] _fields
    cdef list _scanned, _sims_met
    cdef Recent _recent
    cdef Text _text
    # The decoder whose records came last.
    cdef object _decoder
    cdef Streamer _streamer

    def __init__(self, sims, shapes, numbers, rater):
        self._sims, self._shape, self._number_class = sims.by_key, shapes.get, numbers.of
        self._rater, self._recent, self._digests = rater, rater.recent, Digests(rater.catalogue_key)
        self._price, self._order = rater.price, rater.order
        self._shapes = {}
        self._text = Text()

    def rate_all(
        self, list events not None, Py_ssize_t place, list items not None, long long oldest_ms, long long newest_ms,
        long long now_ms,
    ):  # fmt: skip
        """Rate events from a place on, up to one that has to go the long way; answers its place.

        A few together, so that what is known of their SIMs is fetched from memory for all of them at once.
        """
        return self.rate_scanned(events, place, items, None, oldest_ms, newest_ms, now_ms)

    def rate_records(
        self, list events not None, Py_ssize_t place, list items not None, decoder, long long oldest_ms,
        long long newest_ms, long long now_ms,
    ):  # fmt: skip
        """The same of records of the Data Streamer."""
        if decoder is not self._decoder:
            self._decoder, self._streamer = decoder, Streamer(decoder)
        return self.rate_scanned(events, place, items, self._streamer, oldest_ms, newest_ms, now_ms)

    cdef Py_ssize_t rate_scanned(
        self, list events, Py_ssize_t place, list items, Streamer streamer, long long oldest_ms, long long newest_ms,
        long long now_ms,
    ) except -1:  # fmt: skip
        cdef Py_ssize_t count, number
        while place < len(events):
            count = self.scan_some(events, place, streamer, oldest_ms, newest_ms)
            fetch_known(self._sims_met)
            for number in range(count):
                items.append(self.rated_for(
                    self._scanned[number], self._sims_met[number], self._fields + number * FIELDS, now_ms
                ))  # fmt: skip
            place += count
            if count < TOGETHER:
                break
        return place

    cdef Py_ssize_t scan_some(
        self, list events, Py_ssize_t place, Streamer streamer, long long oldest_ms, long long newest_ms
    ) except -1:  # fmt: skip
        """Scan a few events, up to one that has to go the long way; answers how many."""
        cdef Py_ssize_t count = min(TOGETHER, len(events) - place), number
        cdef Rated rated
        cdef Span* fields
        self._scanned, self._sims_met = [], []
        for number in range(count):
            fields = self._fields + number * FIELDS
            rated = scanned(events[place + number], streamer, fields, oldest_ms, newest_ms)
            if rated is None:
                return number
            rated.shape, sim = self.shape_of(fields), self.sim_of(fields)
            if rated.shape is None or sim is None:
                return number
            self._scanned.append(rated)
            self._sims_met.append(sim)
        return count

    def rate_body(
        self, RawEvent raw not None, body, long long start_ms, long long end_ms, shape, SimFields sim not None,
        long long now_ms,
    ):  # fmt: skip
        """A decoded event rated, or why it cannot be."""
        cdef Rated rated = Rated.__new__(Rated)
        rated.raw, rated._body, rated.shape = raw, body, shape
        rated.start_ms, rated.end_ms, rated.until_ms = start_ms, end_ms, end_ms
        service = shape.service
        if service == "data":
            rated.quantity = body.volume_bytes
        elif service == "voice":
            rated.quantity = body.duration_ms
            rated.until_ms = start_ms + rated.quantity
        else:
            rated.quantity, rated.until_ms = body.message_count, start_ms
        return self.rated_for(rated, sim, NULL, now_ms)

    cdef object rated_for(self, Rated rated, SimFields sim, Span* fields, long long now_ms):
        """As `Rater.rate`; without fields of one that is decoded."""
        found = self.payer_of(sim, rated)
        if type(found) is tuple:
            return Faulted(rated.raw, rated.usage, Fault.of_usage(rated.body, *found))
        cdef PayerFields known = found
        rated.wallet, rated.member = known.wallet, known.member
        rated.currency, rated.version = known.currency, known.version
        cdef PricedBy by = self.offer_of(known, rated)
        if fields != NULL:
            self._digests.of_fields(rated, known, fields)
        else:
            self._digests.of_body(rated, known)
        rated.is_repeat = self._recent.has_seen(rated.identity)
        cdef Priced priced
        fault = None
        if known.is_planned or not line_of(rated, by, &priced):
            fault = self._price(rated, now_ms)
        else:
            advance(rated, by, &priced, now_ms)
        if fault is not None:
            return Faulted(rated.raw, rated.usage, fault)
        if rated.counts:
            self.queue(rated)
        return rated

    cdef object payer_of(self, SimFields sim, Rated rated):
        """Who pays, or why nobody does; the event gets its payer."""
        cdef PayerFields payer = sim.payer
        if payer is None or not payer.low_ms <= rated.start_ms < payer.high_ms or (
            payer.live is not payer.member.subscription
        ):  # fmt: skip
            found = self._rater.payer(sim, rated.start_ms)
            if type(found) is tuple:
                return found
            payer = found
        if payer.offers is None:
            payer.take()
        rated.payer = payer
        return payer

    cdef int queue(self, Rated rated) except -1:
        """As `Rater.queue`."""
        rated.order = next(self._order)
        rated.member.queue_event(rated)
        if rated.pool_after and rated.pool is not None and rated.pool is not rated.member:
            rated.pool.queue_event(rated)
        return 0

    cdef PricedBy offer_of(self, PayerFields known, Rated rated):
        cdef PricedBy by
        cdef OfferFields offer = known.offers.get(rated.shape)
        if offer is not None:
            by = offer.compiled
            if by is not None and by.low_ms <= rated.start_ms and rated.until_ms <= by.high_ms:
                rated.offer = offer
                return by
        rated.offer = offer = known.book.offer(rated.shape, rated.start_ms, rated.until_ms)
        by = offer.compiled = PricedBy(offer)
        return by

    cdef SimFields sim_of(self, Span* fields):
        text = self._text
        text.begin()
        text.add_span(fields[TENANT])
        text.add(b"\0iccid\0", 7)
        text.add_span(fields[ICCID])
        return self._sims.get(text.taken())

    cdef object shape_of(self, Span* fields):
        """The shape, None for one that was not met yet."""
        text, number = self._text, None
        if fields[CALLED_NUMBER].at != NULL:
            number = text_of(fields[CALLED_NUMBER])
            if fields[CALLED_NUMBER].at[0] == c"+":
                if not is_e164(number):
                    return None  # it may read like a class of numbers, "+49x"
                number = self._number_class(number)
        cdef int field
        text.begin()
        for field in range(SERVICE, DESTINATION_COUNTRY + 1):
            if field != CALLED_NUMBER:
                text.add_span(fields[field])
                text.add(b"\0", 1)
        if number is not None:
            text.add_str(number)
        key = text.taken()
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shape((
                text_of(fields[SERVICE]), text_of(fields[KIND]), text_of(fields[DIRECTION]) or "outgoing",
                text_of(fields[MCC]), text_of(fields[MNC]), text_of(fields[COUNTRY]), number,
                text_of(fields[DESTINATION_COUNTRY]),
            ))  # fmt: skip
            if shape is not None:
                if len(self._shapes) >= SHAPES_MAX:
                    self._shapes.clear()
                self._shapes[key] = shape
        return shape


cdef object text_of(Span span):
    return PyUnicode_DecodeUTF8(span.at, span.size, NULL) if span.at != NULL else None
