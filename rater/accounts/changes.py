"""What can be changed of an account: whom each change asks for, and what the account is after it. Pure."""

from __future__ import annotations

import msgspec

from rater.accounts.model import Account, GivenRole, check_user
from rater.accounts.roles import MANAGERS, OWNER
from rater.errors import AccountError
from rater.plans.terms import Role


class Details(msgspec.Struct, frozen=True, tag="details"):
    """What is None stays. A new zone holds for periods that begin later."""

    display_name: str | None = None
    zone: str | None = None
    country: str | None = None

    def asked(self, account: Account) -> tuple[Role, ...]:
        """Who may."""
        return MANAGERS

    def applied(self, account: Account) -> Account:
        """The account after it."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(account, **given)


class GiveRole(msgspec.Struct, frozen=True, tag="give-role"):
    """A person becomes manager or reader, whatever they were. Only the owner makes and unmakes managers."""

    user: str
    role: GivenRole

    def asked(self, account: Account) -> tuple[Role, ...]:
        """Who may."""
        return OWNER if "manager" in (self.role, account.roles.get(self.user)) else MANAGERS

    def applied(self, account: Account) -> Account:
        """The account after it."""
        check_user(self.user, "user")
        if self.user == account.owner:
            detail = f"{self.user} is the owner of {account.name}; transfer the ownership instead"
            raise AccountError("conflict", "user", detail)
        return msgspec.structs.replace(account, roles=account.roles | {self.user: self.role})


class TakeRole(msgspec.Struct, frozen=True, tag="take-role"):
    """A person has no role any more."""

    user: str

    def asked(self, account: Account) -> tuple[Role, ...]:
        """Who may."""
        return OWNER if account.roles.get(self.user) == "manager" else MANAGERS

    def applied(self, account: Account) -> Account:
        """The account after it."""
        if self.user == account.owner:
            raise AccountError("conflict", "user", f"{self.user} is the owner of {account.name}, which needs one")
        if self.user not in account.roles:
            raise AccountError("not-found", "user", f"{self.user} has no role in {account.name}")
        roles = {user: role for user, role in account.roles.items() if user != self.user}
        return msgspec.structs.replace(account, roles=roles)


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Another owner; the old one becomes a manager."""

    owner: str

    def asked(self, account: Account) -> tuple[Role, ...]:
        """Who may."""
        return OWNER

    def applied(self, account: Account) -> Account:
        """The account after it."""
        check_user(self.owner, "owner")
        if self.owner == account.owner:
            raise AccountError("conflict", "owner", f"{self.owner} is the owner of {account.name} already")
        roles: dict[str, GivenRole] = {user: role for user, role in account.roles.items() if user != self.owner}
        return msgspec.structs.replace(account, owner=self.owner, roles=roles | {account.owner: "manager"})


class PaymentDetails(msgspec.Struct, frozen=True, tag="payment-details"):
    """Whether a means of payment is there; set by what keeps them."""

    present: bool

    def asked(self, account: Account) -> tuple[Role, ...]:
        """No person says so by hand."""
        return ()

    def applied(self, account: Account) -> Account:
        """The account after it."""
        return msgspec.structs.replace(account, has_payment_details=self.present)


class Close(msgspec.Struct, frozen=True, tag="close"):
    """Nothing is changed any more; what stands in the way is for who carries it out to see."""

    def asked(self, account: Account) -> tuple[Role, ...]:
        """Who may."""
        return OWNER

    def applied(self, account: Account) -> Account:
        """The account after it."""
        return msgspec.structs.replace(account, closed=True)


Change = Details | GiveRole | TakeRole | Transfer | PaymentDetails | Close

_DEEDS = {
    Details: "change {}",
    GiveRole: "give this role in {}",
    TakeRole: "take this role in {}",
    Transfer: "transfer the ownership of {}",
    PaymentDetails: "say whether payment details of {} are there",
    Close: "close {}",
}


def deed_of(change: Change, account: Account) -> str:
    """The change in words, for a refusal: "only the owner (alice) may ..."."""
    return _DEEDS[type(change)].format(account.name)
