"""A wallet's saved payment methods: names for a provider's own references. No number of a card comes near us."""

from __future__ import annotations

import msgspec

from rater.payments.model import Means


class SavedMethod(msgspec.Struct, frozen=True, omit_defaults=True):
    """A card, a bank account or the like that the provider keeps for a customer."""

    name: str
    means: Means
    #: What a person knows it by: "Visa 4242".
    label: str = ""


class WalletMethods(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document. The default is used where none is named."""

    tenant: str
    wallet: str
    methods: tuple[SavedMethod, ...] = ()
    default: str = ""
    #: Counts the changes, so that an old request that is repeated changes nothing again.
    version: int = 1

    def named(self, name: str) -> SavedMethod | None:
        """A method by its name, or the default one if that is empty."""
        return next((method for method in self.methods if method.name == (name or self.default)), None)


def saved(found: WalletMethods, method: SavedMethod, *, is_default: bool) -> WalletMethods:
    """After a method was saved, in the place of one of its name; the first one is the default."""
    others = tuple(other for other in found.methods if other.name != method.name)
    default = method.name if is_default or not found.named("") else found.default
    return msgspec.structs.replace(
        found, methods=(*others, method), default=default, version=found.version + 1
    )  # fmt: skip


def removed(found: WalletMethods, name: str) -> WalletMethods:
    """After a method was removed; no other one becomes the default by itself."""
    others = tuple(other for other in found.methods if other.name != name)
    default = "" if found.default == name else found.default
    return msgspec.structs.replace(found, methods=others, default=default, version=found.version + 1)
