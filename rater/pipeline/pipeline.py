"""The three stages as one: a batch of raw events in, one verdict for each and the messages to publish out.

    prepare   decode, check, resolve, rate       nothing is changed; a crash here leaves nothing behind
    charge    the wallet's atomic call           a crash after it: the event comes again, its verdict is remembered
    settle    build records from the verdicts    pure; a crash here or before delivery: the same records, rebuilt

Then the door publishes the outputs, and only when they are delivered acknowledges the batch. Stages may overlap:
`prepare` of the next batch while `charge` of this one waits, as long as each stage keeps the order of batches.
"""

from __future__ import annotations

from rater.directory import Directory
from rater.pipeline.batch import Batch, Work
from rater.pipeline.catalogues import NAME_BYTES, Catalogues
from rater.pipeline.charge import Charger, OnNews
from rater.pipeline.prepare import Limits, Preparer
from rater.pipeline.rater import Rater
from rater.pipeline.recall import OldIds, Recall
from rater.pipeline.revive import Reviver
from rater.pipeline.settle import Outputs, settle
from rater.pipeline.sims import Sims
from rater.pipeline.stepper import Stepper
from rater.tariff.numbers import NumberClasses
from rater.wallet.store import WalletStore


class Pipeline:
    """One per process; doors share it."""

    def __init__(
        self,
        store: WalletStore,
        directory: Directory,
        catalogues: Catalogues,
        limits: Limits | None = None,
        old_ids: OldIds | None = None,
        on_news: OnNews = lambda _: None,
    ) -> None:
        limits = limits or Limits()
        sims = Sims(directory, store, catalogues.current)
        rater = Rater(sims, catalogues.current.digest[:NAME_BYTES])
        numbers = NumberClasses(catalogues.current.tariffs)
        recall = Recall(store, limits.future_ms, old_ids)
        reviver = Reviver(store, directory, rater, catalogues)
        self._preparer = Preparer(sims, rater, numbers, limits)
        stepper = Stepper(store, catalogues.current)
        self._charger = Charger(store, sims, rater, recall, catalogues, reviver, stepper, on_news)

    def begin(self, batch: Batch) -> Work:
        """Decode, and rate what is of known SIMs; changes nothing."""
        return self._preparer.begin(batch)

    async def resolve(self, work: Work) -> None:
        """Look up the other SIMs and rate the rest. May be repeated after a failure."""
        await self._preparer.resolve(work)

    async def prepare(self, batch: Batch) -> Work:
        """Both."""
        work = self.begin(batch)
        try:
            await self.resolve(work)
        except BaseException:
            self._charger.let_go(work)
            raise
        return work

    async def charge(self, work: Work) -> Work:
        """Decide: the one place where money moves."""
        await self._charger.charge(work)
        return work

    @staticmethod
    def settle(work: Work) -> Outputs:
        """Build the messages and verdicts of a decided batch."""
        return settle(work)

    async def process(self, batch: Batch) -> Outputs:
        """All three, for a door that takes one batch at a time."""
        return self.settle(await self.charge(await self.prepare(batch)))
