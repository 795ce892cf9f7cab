"""API keys: `rk_<name>_<secret>`. Redis holds the name, what the key may do, and a digest of the secret.

The secret is 32 random bytes, so a plain SHA-256 of it cannot be searched for, and costs a microsecond a request.
A revoked key is refused after `CACHE_S` everywhere; its entry stays, so that its name says whose it was.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from hashlib import sha256
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from rater.accounts.model import USER
from rater.errors import SettingError

Scope = Literal["ingest", "read", "manage", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
#: What a scope includes besides itself.
_INCLUDED: dict[str, frozenset[str]] = {
    "ingest": frozenset(("ingest",)),
    "read": frozenset(("read",)),
    "manage": frozenset(("manage", "read")),
    "admin": frozenset(SCOPES),
}

STORED = "rater:http:keys"
#: How long a process believes what it read.
CACHE_S = 2.0
_TOKEN = re.compile(r"rk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
#: Keys in Redis are built as "...:tenant:..." and "tenant/wallet"; so a tenant of the API has neither sign.
TENANT = re.compile(r"[^/:\x00-\x1f\x7f]{1,128}")

Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class ApiKey(msgspec.Struct, frozen=True):
    """A key as it is stored. An empty tenant (admin only) is every tenant, an empty account every one of the tenant.

    A key of a `user` acts for that person, whose role in an account decides there what it may do.
    """

    name: str
    digest: Bytes32
    scopes: tuple[Scope, ...]
    tenant: str
    account: str = ""
    note: str = ""
    created_ms: int = 0
    revoked_ms: int = 0
    user: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether the key's scopes include this one."""
        return any(scope in _INCLUDED[own] for own in self.scopes)

    def covers(self, account: str, organisation: str = "") -> bool:
        """Whether the key reaches this account, which may be a company of an organisation."""
        return self.account in ("", account, organisation)

    @property
    def is_operator(self) -> bool:
        """Whether it may do what no role in an account allows: with all the scopes, or over the whole tenant."""
        return not self.user and ("admin" in self.scopes or not self.account)

    @property
    def names_people(self) -> bool:
        """Whether it may say for whom it acts."""
        return not self.user and not self.account and self.may("manage")


class KeyRing:
    """Makes, lists, revokes and recognises keys."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._known: dict[str, tuple[float, ApiKey]] = {}

    async def create(
        self, scopes: tuple[Scope, ...], tenant: str, account: str = "", note: str = "", *, user: str = "", now_ms: int
    ) -> tuple[str, ApiKey]:
        """A new key and its token, which is not kept and so is told only here.

        Raises:
            SettingError: a key that would reach too far, or nothing.
        """
        if not scopes:
            raise SettingError("scope: a key needs at least one of " + ", ".join(SCOPES))
        if not tenant and (account or "admin" not in scopes):
            raise SettingError("tenant: only an admin key may be without one")
        if tenant and not TENANT.fullmatch(tenant):
            raise SettingError(f'tenant: "{tenant}" must be a name without "/" and ":"')
        if user and not (tenant and USER.fullmatch(user)):
            raise SettingError(f'user: "{user}" must be visible ASCII without "/", and of a tenant')
        name, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = ApiKey(name, _digest(secret), scopes, tenant, account, note, now_ms, user=user)
        await self._redis.hset(STORED, name, msgspec.json.encode(key))
        return f"rk_{name}_{secret}", key

    async def all(self) -> list[ApiKey]:
        """Every key, the oldest first."""
        entries = (await self._redis.hgetall(STORED)).values()
        return sorted(map(_decode, entries), key=lambda key: (key.created_ms, key.name))

    async def revoke(self, name: str, *, now_ms: int) -> ApiKey:
        """Refuse a key from now on.

        Raises:
            SettingError: there is none of that name.
        """
        entry = await self._redis.hget(STORED, name)
        if entry is None:
            raise SettingError(f"key: there is no {name}; see `rater key list`")
        key = _decode(entry)
        if not key.revoked_ms:
            key = msgspec.structs.replace(key, revoked_ms=now_ms)
            await self._redis.hset(STORED, name, msgspec.json.encode(key))
        return key

    async def recognise(self, token: str) -> ApiKey | None:
        """The key a token belongs to; None if it is none of ours, or revoked."""
        found = _TOKEN.fullmatch(token)
        key = await self._get(found[1]) if found else None
        if found is None or key is None or not hmac.compare_digest(key.digest, _digest(found[2])):
            return None
        return None if key.revoked_ms else key

    async def _get(self, name: str) -> ApiKey | None:
        now = time.monotonic()
        until, key = self._known.get(name, (0.0, None))
        if key is None or now >= until:
            entry = await self._redis.hget(STORED, name)
            if entry is None:
                self._known.pop(name, None)
                return None
            key = _decode(entry)
            self._known[name] = now + CACHE_S, key
        return key


_decode = msgspec.json.Decoder(ApiKey).decode


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
