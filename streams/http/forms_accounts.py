"""What the endpoints of accounts and transfers take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from rater.accounts.model import Account, GivenRole, Kind
from rater.geo.codes import COUNTRIES
from rater.plans.terms import Role
from rater.wallet.transfer import Status, Transfer
from streams.http.forms import END, Amount, Currency, Form, Money, Name, Note, Wallet, instant

User = Annotated[str, Meta(pattern=rf"^[!-.0-~]{{1,128}}{END}", description="A person.", examples=["alice"])]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA.", examples=["Europe/Berlin"])]
Country = Annotated[
    str, Meta(description="ISO 3166-1 alpha-2.", examples=["DE"], extra_json_schema={"enum": sorted(COUNTRIES)})
]
DisplayName = Annotated[str, Meta(max_length=256)]


class NewAccount(Form, frozen=True):
    """An organisation, or a company of one (`parent`)."""

    account: Name
    kind: Kind
    owner: User
    currency: Currency
    country: Country
    parent: Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{0,128}}{END}", description="Of a company.")] = ""
    display_name: DisplayName = ""
    zone: Zone = "UTC"


class AccountChange(Form, frozen=True):
    """What is left out stays."""

    display_name: DisplayName | None = None
    zone: Zone | None = None
    country: Country | None = None


class PaymentDetailsForm(Form, frozen=True):
    """Whether a means of payment is there, as who keeps it says: a mandate, a billing address, a card."""

    present: bool


class RoleForm(Form, frozen=True):
    """What a person becomes."""

    role: GivenRole


class OwnerForm(Form, frozen=True):
    """Who owns the account from now on; the old owner becomes a manager."""

    owner: User


class AccountWallet(Form, frozen=True):
    """A wallet to open for an account, empty; in its currency."""

    wallet: Name
    currency: Currency | msgspec.UnsetType = msgspec.UNSET


class TransferForm(Form, frozen=True):
    """Money from one wallet to another in the same currency."""

    from_wallet: Name
    to_wallet: Name
    amount: Amount
    note: Note = ""


class AccountOut(msgspec.Struct):
    """An account as it stands."""

    tenant: str
    account: str
    kind: Kind
    parent: str
    display_name: str
    zone: str
    country: str
    currency: str
    owner: str
    roles: dict[str, GivenRole]
    has_payment_details: bool
    closed: bool
    version: int
    repeated: bool = False


class AccountsOut(msgspec.Struct):
    """A page of accounts, by name. `next` is empty on the last one."""

    accounts: list[AccountOut]
    next: str


class RolesOut(msgspec.Struct):
    """Who may act for an account: its own people, and below `organisation` those whose role there counts here."""

    account: str
    people: dict[str, Role]
    organisation: dict[str, Role]


class AccountWalletOut(msgspec.Struct):
    """A wallet of an account."""

    account: str
    wallet: Wallet
    repeated: bool = False


class WalletNames(msgspec.Struct):
    """A page of an account's wallets, by name. `next` is empty on the last one."""

    wallets: list[str]
    next: str


class TransferOut(msgspec.Struct):
    """A transfer as it stands: on its way, arrived, back where it came from, or never begun for want of money."""

    transfer: str
    from_wallet: str
    to_wallet: str
    amount: Money
    currency: str
    note: str
    status: Status
    at: datetime
    repeated: bool = False


def account_out(account: Account, *, repeated: bool = False) -> AccountOut:
    """An account as the API writes it."""
    return AccountOut(
        account.tenant, account.name, account.kind, account.parent, account.display_name, account.zone, account.country,
        account.currency, account.owner, account.roles, account.has_payment_details, account.closed, account.version,
        repeated,
    )  # fmt: skip


def transfer_out(transfer: Transfer, *, repeated: bool = False) -> TransferOut:
    """A transfer as the API writes it."""
    order = transfer.order
    return TransferOut(
        order.id, order.from_wallet, order.to_wallet, order.amount, transfer.currency, order.note, transfer.status,
        instant(transfer.decided_ms), repeated,
    )  # fmt: skip
