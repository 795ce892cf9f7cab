"""Which endpoints hear of an event, a delivery for each; and how an endpoint is disabled and the others told.

Disabling is: the endpoint says `disabled` and `untold`; `webhook.disabled` is put in for the others; it says told. A
crash between is made good by the next delivery of the endpoint that is claimed: it finds `untold`, and the message's id
is that of this change of the endpoint, so it is put in once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.errors import WalletError
from rater.subscriber import Subscriber
from rater.wallet.keys import values_of
from streams.webhooks.delivery import Delivery
from streams.webhooks.endpoints import Reason, WebhookEndpoint, disabled
from streams.webhooks.events import Event, concerned, event_id, payload
from streams.webhooks.queue import Queue
from streams.webhooks.shelf import Shelf

log = logging.getLogger(__name__)

Endpoints = Shelf[WebhookEndpoint]

_subscriber = msgspec.json.Decoder(Subscriber).decode


class Fanout:
    """Puts deliveries in. Everything here may be repeated: what is there stays as it is."""

    def __init__(
        self, redis: Any, endpoints: Endpoints, queue: Queue, accounts: Accounts, wallets: AccountWallets,
        clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._redis = redis
        self._accounts = accounts
        self._wallets = wallets
        self._endpoints = endpoints
        self._queue = queue
        self._clock_ms = clock_ms

    async def offer(self, events: Sequence[Event], also: Sequence[WebhookEndpoint] = ()) -> int:
        """Make the deliveries of events; answers how many are new. `also`: endpoints that note them in any case."""
        tenants = await self._endpoints.tenants()
        accounts = await self._with_accounts([event for event in events if event.tenant in tenants])
        told = await self._with_owners(accounts)
        books = await self._endpoints.books({(event.tenant, owner) for event, owners in told for owner in owners})
        deliveries, by_id = [], dict[str, WebhookEndpoint]()
        for event, owners in told:
            body = msgspec.Raw(payload(event))
            listening = {
                endpoint.id: endpoint
                for owner in owners
                for endpoint in books[event.tenant, owner]
                if endpoint.wants(event.type)
            }
            for endpoint in {**listening, **{endpoint.id: endpoint for endpoint in also}}.values():
                by_id[endpoint.id] = endpoint
                deliveries.append(self._delivery(endpoint, event, body))
        new, over = await self._queue.enqueue(deliveries)
        await self._refuse(over, by_id)
        return len(new)

    async def put(self, endpoint: WebhookEndpoint, event: Event) -> Delivery:
        """A delivery to one endpoint, whatever it listens to; answers it as it stands."""
        delivery = self._delivery(endpoint, event, msgspec.Raw(payload(event)))
        await self._queue.enqueue([delivery])
        return delivery

    def _delivery(self, endpoint: WebhookEndpoint, event: Event, body: msgspec.Raw) -> Delivery:
        now_ms = self._clock_ms()
        delivery = Delivery(
            id=event.id,
            tenant=endpoint.tenant,
            account=endpoint.account,
            endpoint=endpoint.id,
            type=event.type,
            created_ms=now_ms,
            payload=body,
        )
        if endpoint.status != "enabled":
            return msgspec.structs.replace(delivery, state="missed")
        return msgspec.structs.replace(delivery, due_ms=now_ms)

    async def _refuse(self, over: Iterable[Delivery], endpoints: dict[str, WebhookEndpoint]) -> None:
        """Too much waits for these endpoints: they are disabled, and what came last is noted as missed."""
        missed = [msgspec.structs.replace(delivery, state="missed", due_ms=0) for delivery in over]
        await self._queue.enqueue(missed)
        for endpoint_id in dict.fromkeys(delivery.endpoint for delivery in missed):
            await self.disable(endpoints[endpoint_id], "backlog")

    async def disable(self, endpoint: WebhookEndpoint, reason: Reason) -> None:
        """Disable an endpoint that still is as it was seen, and tell the others."""

        def change(present: WebhookEndpoint) -> WebhookEndpoint:
            same = present.status == "enabled" and present.enabled_ms == endpoint.enabled_ms
            return disabled(present, reason) if same else present

        try:
            after = await self._endpoints.alter(endpoint, change)
        except WalletError:  # its account's book is in great demand; the next failure of the endpoint tries again
            log.warning("webhook endpoint %s of %s could not be disabled now", endpoint.id, endpoint.tenant)
            return
        if after is not None and after.untold:
            log.warning("webhook endpoint %s of %s is disabled: %s", after.id, after.tenant, after.reason)
            await self.tell_disabled(after)

    async def tell_disabled(self, endpoint: WebhookEndpoint) -> None:
        """Tell the tenant's other endpoints, and the endpoint's own log."""
        data = {"webhook": endpoint.id, "url": endpoint.url, "reason": endpoint.reason}
        event = Event(
            id=event_id(endpoint.tenant, "disabled", endpoint.id, endpoint.version),
            type="webhook.disabled",
            tenant=endpoint.tenant,
            occurred_ms=self._clock_ms(),
            data=data | ({"account": endpoint.account} if endpoint.account else {}),
            account=endpoint.account,
        )
        await self.offer([event], also=[endpoint])
        # Its version stays: it is in the id of what was told, and so must be the same until nothing is left to tell.
        await self._endpoints.alter(
            endpoint,
            lambda present: (
                msgspec.structs.replace(present, untold=False) if present.version == endpoint.version else present
            ),
        )

    async def _with_owners(self, told: Sequence[tuple[Event, str]]) -> list[tuple[Event, list[str]]]:
        """Each event with whose endpoints hear of it: the tenant's own, the account's, and its organisation's."""
        known: dict[tuple[str, str], list[str]] = {}
        for event, account in told:
            key = event.tenant, account
            if key not in known:
                name = await self._wallets.account_of(*key) if account and account == event.wallet else account
                chain = await self._accounts.chain(event.tenant, name) if name else ()
                known[key] = list(dict.fromkeys(["", name, *(above.name for above in chain)]))
        return [(event, known[event.tenant, account]) for event, account in told]

    async def _with_accounts(self, events: Sequence[Event]) -> list[tuple[Event, str]]:
        """Each event with the account it concerns; SIMs are looked up in one round trip."""
        asked = {(e.tenant, e.subscriber): e.wallet for e in events if e.subscriber and not e.account}
        entries = await values_of(self._redis, [f"d:{tenant}:subscriber:{name}" for tenant, name in asked])
        accounts = {}
        for (key, wallet), entry in zip(asked.items(), entries, strict=True):
            found = _subscriber(entry) if entry is not None else None
            if found is not None and found.tenant == key[0]:
                paid = [assignment for assignment in found.assignments if assignment.wallet == wallet]
                accounts[key] = (paid or found.assignments)[-1].account
        return concerned(events, accounts)
