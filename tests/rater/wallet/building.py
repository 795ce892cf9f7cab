"""Entries as tests write them: money in units, names for identities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import parse_nanos
from rater.wallet.debit import Debit, SessionUse, WalletRef
from rater.wallet.entry import Answer, Decision, Entry, Kind, Stale
from rater.wallet.member import Member
from rater.wallet.outbox import Outbox
from rater.wallet.states import WalletState
from rater.wallet.store import News, WalletStore
from schemas.fates import Reason
from schemas.lifecycle import LifecycleEvent, WalletEntry

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z
_made_up = count()


def amount(text: str) -> int:
    """Nanos of "1.50"."""
    return parse_nanos(text)


def entry(kind: Kind, money: str = "0", event_id: str = "", **fields: Any) -> Entry:
    """An entry on wallet "w" of tenant "t", with a made-up id unless one is given."""
    event_id = event_id or f"made-up-{next(_made_up)}"
    content: dict[str, Any] = {
        "kind": kind,
        "tenant": "t",
        "wallet": "w",
        "identity": identity("t", "test", event_id),
        "fingerprint": b"f" * FINGERPRINT_BYTES,
        "cause": f"test/{event_id}",
        "amount_nanos": amount(money),
    }
    return Entry(**(content | fields))


def create(money: str = "0", event_id: str = "", **fields: Any) -> Entry:
    """Opens the wallet, in EUR unless said otherwise."""
    return entry(Kind.CREATE, money, event_id, **({"currency": "EUR"} | fields))


@dataclass(frozen=True)
class Usage:
    """Usage of a SIM as a test writes it; `Wallets` makes a Debit of it, rated upon the member as it then is."""

    identity: bytes
    cause: str
    amount_nanos: int
    tenant: str = "t"
    wallet: str = "w"
    subscriber: str = "sim-1"
    subscriber_version: int = 1
    currency: str = "EUR"
    fingerprint: bytes = b"f" * FINGERPRINT_BYTES
    token: bytes = bytes(12)
    #: (counter's key, what is added)
    uses: tuple[tuple[str, int], ...] = ()
    #: What the worker believes the counters to be, where that is not what they are.
    believed: dict[str, int] | None = None
    refuse: Reason = Reason.NONE
    free: bool = False
    #: Rated without counting, as a worker does where it expects that the event will not be charged.
    uncounted: bool = False


def usage(money: str = "1", event_id: str = "", **fields: Any) -> Usage:
    """Usage of sim-1 at its first assignment."""
    event_id = event_id or f"made-up-{next(_made_up)}"
    content: dict[str, Any] = {
        "identity": identity("t", "test", event_id),
        "cause": f"test/{event_id}",
        "amount_nanos": amount(money),
    }
    return Usage(**(content | fields))


def join(subscriber: str = "sim-1", version: int = 1, **fields: Any) -> Entry:
    """A SIM becomes a member."""
    return entry(Kind.JOIN, subscriber=subscriber, subscriber_version=version, **fields)


class Wallets:
    """A store and what a test wants to know of it."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self.redis = redis
        self.store = store
        self.outbox = Outbox(redis, store)
        #: Told of what usage wrote to the outbox, as a worker tells its publisher.
        self.listeners: list[Callable[[News], None]] = []

    async def apply(self, *entries: Entry | Usage, now_ms: int = NOW_MS, epoch: int = 0) -> list[Answer]:
        """Decide: usage in one call, commands in one call."""
        answers: list[Answer] = []
        for is_usage, run in groupby(entries, lambda one: isinstance(one, Usage)):
            if is_usage:
                answers += await self._charge(list(run), now_ms, epoch)  # type: ignore[arg-type]
            else:
                answers += await self.store.apply(list(run), now_ms=now_ms, epoch=epoch)  # type: ignore[arg-type]
        return answers

    async def _charge(self, usages: list[Usage], now_ms: int, epoch: int) -> list[Answer]:
        members: dict[bytes, Member[Debit]] = {}
        debits = []
        for one in usages:
            wallet = self.store.wallet_ref(one.tenant, one.wallet)
            key = self.store.member_key(wallet, one.subscriber)
            if key not in members:
                (state,) = await self.store.member_states([key])
                members[key] = Member(key, state)
            debits.append(await self._debit(one, wallet, members[key], now_ms))
        news = await self.store.charge(debits, now_ms=now_ms, epoch=epoch)
        for listener in self.listeners:
            listener(news)
        answers = [debit.decision or debit.answer for debit in debits]
        return [answer for answer in answers if answer is not None]

    async def _debit(self, one: Usage, wallet: WalletRef, member: Member[Debit], now_ms: int) -> Debit:
        if one.believed is not None:
            member.counters |= one.believed
        before, after, counters, sessions = member.state, b"", [], []
        for key, add in one.uses:
            if key.startswith("session:"):
                field = f"{one.tenant}/{one.subscriber}/{key}"
                if key not in member.sessions:
                    member.sessions[key] = await self._session(wallet.shard, field)
                counters.append(member.sessions[key])
                sessions.append(SessionUse(field, counters[-1], counters[-1] + add))
                member.sessions[key] += add
            else:
                counters.append(member.counters.get(key, 0))
        own = {key: counters[i] + add for i, (key, add) in enumerate(one.uses) if not key.startswith("session:")}
        if one.believed is not None:
            member.advance(list(one.believed), list(one.believed.values()), now_ms)
            before = member.state
        if own and not one.refuse and not one.uncounted:
            after = member.advance(list(own), list(own.values()), now_ms)
        marks = one.fingerprint + one.token + bytes(4)
        return Debit(
            wallet, member, one.identity, marks, one.cause, one.currency, one.amount_nanos, one.subscriber_version,
            before, after, tuple(counters), tuple(sessions), one.refuse, one.free,
            one.uncounted,
        )  # fmt: skip

    async def _session(self, shard: int, field: str) -> int:
        for generation in range(9, -1, -1):
            if value := await self.redis.hget(f"{{s{shard}}}:x:{generation}", field):
                return int(value)
        return 0

    async def decide(self, *entries: Entry | Usage, now_ms: int = NOW_MS) -> list[Decision]:
        """Decide what no assumption stands in the way of."""
        answers = await self.apply(*entries, now_ms=now_ms)
        stale = [answer for answer in answers if isinstance(answer, Stale)]
        assert not stale
        return [answer for answer in answers if isinstance(answer, Decision)]

    async def opened(self, money: str, *sims: str, **fields: Any) -> None:
        """A wallet with members."""
        await self.decide(create(money, **fields), *(join(sim) for sim in sims or ("sim-1",)))

    async def state(self, wallet: str = "w") -> WalletState:
        """The wallet as it stands."""
        state = await self.store.wallet("t", wallet)
        assert state is not None
        return state

    async def balance(self, wallet: str = "w") -> int:
        """Its balance in nanos."""
        return (await self.state(wallet)).balance_nanos

    async def news(self) -> list[LifecycleEvent | WalletEntry]:
        """What came to the outboxes since the last look, shard by shard."""
        news = []
        for shard in range(self.store.shards):
            while items := (await self.outbox.read([shard], 1000))[shard].entries:
                news += [item.event for item in items]
                await self.outbox.delete({shard: [item.id for item in items]})
        return news

    async def crossings(self) -> list[tuple[str, str]]:
        """("suspended" or "resumed", subscriber or "" for the wallet) since the last look, in order."""
        return [(event.type, event.subscriber) for event in await self.news() if isinstance(event, LifecycleEvent)]


def charged(answers: Sequence[Answer]) -> list[int]:
    """What each decision took."""
    return [answer.charged_nanos for answer in answers if isinstance(answer, Decision)]
