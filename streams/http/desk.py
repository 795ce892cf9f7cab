"""What the endpoints work with: the engine, the flow of usage, and the memory of Idempotency-Keys."""

from __future__ import annotations

from dataclasses import dataclass

from rater.settings import HttpSettings
from streams.engine import Engine
from streams.http.claims import Claims
from streams.http.flow import Flow
from streams.http.keys import KeyRing
from streams.http.limits import RateLimit
from streams.http.reach import Reach


@dataclass
class Desk:
    """One per process."""

    engine: Engine
    flow: Flow
    claims: Claims
    keys: KeyRing
    reach: Reach
    limit: RateLimit
    settings: HttpSettings

    @classmethod
    def of(cls, engine: Engine, flow: Flow) -> Desk:
        """The desk of an opened engine."""
        parts, settings = engine.parts, engine.parts.settings.http
        reach = Reach(parts.accounts, parts.account_wallets)
        limit = RateLimit(settings.requests_per_second)
        return cls(engine, flow, Claims(parts.redis), KeyRing(parts.redis), reach, limit, settings)

    @property
    def now_ms(self) -> int:
        """Intake's clock."""
        return self.engine.parts.clock_ms()
