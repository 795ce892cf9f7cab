"""The engine's error tree.

RaterError
 +- SettingError        a setting is wrong; names it
 +- CatalogueError      a tariff or plan file is wrong; carries every mistake
 +- UnsafeRedisError    Redis is set up so that an acknowledged debit could be lost; names the setting
 +- WalletError         a wallet command cannot be carried out; says why
 +- PlanError           what is asked of a subscription cannot be done; names the field
 |   +- UnknownPlanError   the catalogue has no such plan
 +- AccountError        an account command cannot be carried out; has the field, and whether it is wrong, refused ...
 +- UsageFileError      a usage file cannot be read to its end; says up to where it was
 +- PartsError          an embedded or external part (Redis, ClickHouse, Kafka) did not start or answer
"""

from typing import Literal


class RaterError(Exception):
    """Anything the engine reports to a person; its text is a sentence that says what to do."""


class SettingError(RaterError):
    """A setting is wrong."""


class CatalogueError(RaterError):
    """A tariff or plan file is wrong."""


class UnsafeRedisError(RaterError):
    """Redis could lose what it acknowledged."""


class WalletError(RaterError):
    """A wallet command cannot be carried out."""


class PlanError(RaterError):
    """What is asked of a subscription cannot be done: no such plan, volume, add-on or order."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class UnknownPlanError(PlanError):
    """The catalogue has no such plan."""


class AccountError(RaterError):
    """An account command cannot be carried out.

    `why`: "invalid" (a field is wrong in itself), "conflict" (it contradicts what stands), "not-found", or
    "not-allowed" (somebody else may; the text says who).
    """

    def __init__(
        self, why: Literal["invalid", "conflict", "not-found", "not-allowed"], field: str, detail: str
    ) -> None:
        super().__init__(f"{field}: {detail}")
        self.why = why
        self.field = field
        self.detail = detail


class UsageFileError(RaterError):
    """A usage file cannot be read to its end."""


class PartsError(RaterError):
    """A part the engine needs did not start or answer."""
