"""What the endpoints work with: the engine, the flow of usage, and the memory of Idempotency-Keys."""

from __future__ import annotations

from dataclasses import dataclass

from rater.settings import HttpSettings
from streams.engine import Engine
from streams.http.claims import Claims
from streams.http.flow import Flow
from streams.http.keys import KeyRing
from streams.http.limits import RateLimit


@dataclass
class Desk:
    """One per process."""

    engine: Engine
    flow: Flow
    claims: Claims
    keys: KeyRing
    limit: RateLimit
    settings: HttpSettings

    @classmethod
    def of(cls, engine: Engine, flow: Flow) -> Desk:
        """The desk of an opened engine."""
        redis, settings = engine.parts.redis, engine.parts.settings.http
        return cls(engine, flow, Claims(redis), KeyRing(redis), RateLimit(settings.requests_per_second), settings)

    @property
    def now_ms(self) -> int:
        """Intake's clock."""
        return self.engine.parts.clock_ms()
