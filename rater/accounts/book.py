"""The accounts in Redis: JSON, replaced only if it is still what was read.

    accounts:<tenant>                    names, in order
    accounts:<tenant>:family:<org>       an organisation and its companies, in order
    accounts:<tenant>:one:<name>         the account
    accounts:<tenant>:steps:<name>       id of a change -> the change, of all but the last

A change is done once for its id, at any age:

1. read the account at its version; is the change its last one, or among the steps? Then nothing is left to do.
2. check who asks and what is asked. A crash: nothing was changed.
3. the account's last change goes to the steps. A crash: it stands there and in the account, which is the same.
4. the new version, with this change as its last, replaces the one that was read; if somebody was quicker: from 1.

Before a version is replaced its change stands in the steps, so a change that was made is always found in 1. Creation
puts the name into the lists first; a crash leaves a name without an account, which readers leave out.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from rater.accounts.changes import Change, deed_of
from rater.accounts.model import Account, Step, check
from rater.accounts.roles import MANAGERS, Actor, refusal
from rater.directory import Directory
from rater.errors import AccountError
from rater.wallet.keys import values_of
from rater.wallet.store import WalletStore

#: Somebody else was quicker so often: there is no sense in going on.
_TRIES = 20
_decode = msgspec.json.Decoder(Account).decode
_decode_step = msgspec.json.Decoder(Step).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Accounts:
    """Finds and changes accounts; safe to share between tasks."""

    def __init__(self, redis: Any, store: WalletStore, directory: Directory) -> None:
        self._redis = redis
        self._store = store
        self._directory = directory

    async def get(self, tenant: str, name: str) -> Account | None:
        """An account, or None."""
        return (await self._read(tenant, name))[1]

    async def chain(self, tenant: str, name: str) -> tuple[Account, ...]:
        """An account and its organisation; empty if there is none of that name."""
        account = await self.get(tenant, name)
        return await self._chain(account) if account else ()

    async def open_one(self, tenant: str, name: str) -> Account:
        """An account that can be changed.

        Raises:
            AccountError: there is none of that name, or it is closed.
        """
        account = await self.get(tenant, name)
        if account is None:
            raise AccountError("not-found", "account", f"{tenant} has no account {name}")
        if account.closed:
            raise AccountError("conflict", "account", f"{name} is closed")
        return account

    async def page(self, tenant: str, organisation: str, after: str, limit: int) -> list[Account]:
        """Accounts in order of their names: all of a tenant, or an organisation and its companies."""
        key = _family(tenant, organisation) if organisation else _names(tenant)
        found: list[Account] = []
        while len(found) < limit:
            names = await self._redis.zrangebylex(key, f"({after}" if after else "-", "+", start=0, num=limit)
            if not names:
                break
            after = names[-1].decode()
            entries = await values_of(self._redis, [_one(tenant, name.decode()) for name in names])
            found += [_decode(entry) for entry in entries if entry]
        return found[:limit]

    async def create(self, account: Account, actor: Actor) -> tuple[Account, bool]:
        """Make an account by its step `last`; answers it as it stands, and whether this very step made it before.

        Raises:
            AccountError: it cannot be made; says why.
        """
        check(account)
        stands = await self.get(account.tenant, account.name)
        if stands is None:
            await self._check_parent(account, actor)
            await self._check_name(account, actor)
            await self._redis.zadd(_names(account.tenant), {account.name: 0})
            await self._redis.zadd(_family(account.tenant, account.parent or account.name), {account.name: 0})
            if await self._store.replace(_one(account.tenant, account.name), b"", _encode(account)):
                return account, False
            stands = await self.get(account.tenant, account.name)
            assert stands is not None, "an account is never deleted"
        if await self._is_made(stands, account.last):
            return stands, True
        raise AccountError("conflict", "account", f"{account.tenant} has an account {account.name} already")

    async def _check_parent(self, account: Account, actor: Actor) -> None:
        if account.kind == "organisation":
            if not actor.is_operator:
                raise AccountError("not-allowed", "kind", "only the operator may make an organisation")
            return
        above = await self.get(account.tenant, account.parent)
        if above is None:
            raise AccountError("not-found", "parent", f"{account.tenant} has no organisation {account.parent}")
        refused = refusal([above], actor, MANAGERS, f"make a company of {above.name}")
        if refused:
            raise AccountError("not-allowed", "parent", refused)
        if above.kind != "organisation":
            raise AccountError("conflict", "parent", f"{above.name} is a company; only an organisation has companies")
        if above.closed:
            raise AccountError("conflict", "parent", f"{above.name} is closed")

    async def _check_name(self, account: Account, actor: Actor) -> None:
        """What stands under the name already would be the account's from now on: only the operator may say so."""
        wallet = await self._store.wallet(account.tenant, account.name)
        if not actor.is_operator:
            if wallet is not None or await self._directory.names_account(account.tenant, account.name):
                raise AccountError("conflict", "account", f"{account.name} is in use; only the operator may take it")
        elif wallet is not None and wallet.currency != account.currency:
            detail = f"the wallet {account.name} is kept in {wallet.currency}; so must be its account"
            raise AccountError("conflict", "currency", detail)

    async def change(
        self, tenant: str, name: str, change: Change, actor: Actor, *, change_id: str, now_ms: int
    ) -> tuple[Account, bool]:
        """Change an account once for this id; answers it as it stands, and whether the change was made before.

        Raises:
            AccountError: it cannot be changed so; says why, and who may.
        """
        step = step_of(change_id, change, actor, now_ms)
        for _ in range(_TRIES):
            raw, account = await self._read(tenant, name)
            if account is None:
                raise AccountError("not-found", "account", f"{tenant} has no account {name}")
            if await self._is_made(account, step):
                return account, True
            made = msgspec.structs.replace(step, version=account.version + 1)
            after = await self._changed(account, change, actor)
            after = msgspec.structs.replace(after, version=made.version, last=made)
            await self._redis.hset(_steps(tenant, name), account.last.id, _encode(account.last))
            if await self._store.replace(_one(tenant, name), raw, _encode(after)):
                return after, False
        raise AccountError("conflict", "account", f"{name} is being changed by others; send this again")

    async def _changed(self, account: Account, change: Change, actor: Actor) -> Account:
        refused = refusal(await self._chain(account), actor, change.asked(account), deed_of(change, account))
        if refused:
            raise AccountError("not-allowed", "account", refused)
        if account.closed:
            raise AccountError("conflict", "account", f"{account.name} is closed")
        return check(change.applied(account))

    async def steps(self, tenant: str, name: str) -> list[Step]:
        """Every change of an account, the oldest first; creation is one."""
        account = await self.get(tenant, name)
        if account is None:
            return []
        earlier = await self._redis.hvals(_steps(tenant, name))
        found = {step.id: step for step in (*map(_decode_step, earlier), account.last)}
        return sorted(found.values(), key=lambda step: step.version)

    async def _is_made(self, account: Account, step: Step) -> bool:
        made = account.last
        if made.id != step.id:
            entry = await self._redis.hget(_steps(account.tenant, account.name), step.id)
            if entry is None:
                return False
            made = _decode_step(entry)
        if made.fingerprint != step.fingerprint:
            raise AccountError("conflict", "id", f"{step.id} was used before for another change; the first one stands")
        return True

    async def _chain(self, account: Account) -> tuple[Account, ...]:
        above = await self.get(account.tenant, account.parent) if account.parent else None
        return (account, above) if above else (account,)

    async def _read(self, tenant: str, name: str) -> tuple[bytes, Account | None]:
        raw = await self._redis.get(_one(tenant, name))
        account = _decode(raw) if raw is not None else None
        # Keys are made by joining names; one that is made to look like another's finds nothing.
        if account is None or (account.tenant, account.name) != (tenant, name):
            return b"", None
        return raw, account


def step_of(change_id: str, asked: Change | Account, actor: Actor, now_ms: int) -> Step:
    """The step a change or a creation is."""
    if isinstance(asked, Account):
        # Who makes it, and when, is not what is asked for.
        what, content = "create", _encode(msgspec.structs.replace(asked, last=Step("", "", "", 0)))
    else:
        what, content = str(asked.__struct_config__.tag), _encode(asked)
    return Step(change_id, blake2b(content, digest_size=8).hexdigest(), what, now_ms, actor.user)


def _names(tenant: str) -> str:
    return f"accounts:{tenant}"


def _family(tenant: str, organisation: str) -> str:
    return f"accounts:{tenant}:family:{organisation}"


def _one(tenant: str, name: str) -> str:
    return f"accounts:{tenant}:one:{name}"


def _steps(tenant: str, name: str) -> str:
    return f"accounts:{tenant}:steps:{name}"
