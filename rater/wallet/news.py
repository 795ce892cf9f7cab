"""What an entry puts into the outbox in its own call: notices, and money that goes on to another wallet.

A transfer is two legs with one id: a debit here whose news is the credit there. The publisher carries the credit out;
until then it stands in the outbox and counts as money in transit. Where it cannot be carried out it comes back.
"""

from __future__ import annotations

import msgpack
import msgspec

from schemas.commands import WalletCommand
from schemas.notice import Notice

NOTICE, ONWARD = "N", "X"

_encode = msgspec.json.Encoder().encode


class Onward(msgspec.Struct, frozen=True):
    """Money on its way: what is done with it, and what instead if that is refused."""

    #: A top-up of the other wallet.
    command: WalletCommand
    #: A top-up of the wallet it came from.
    back: WalletCommand

    @property
    def tenant(self) -> str:
        """Whose money it is."""
        return self.command.tenant


def pack_notice(notice: Notice) -> bytes:
    """A notice, for `Entry.news`."""
    return _pack(NOTICE, _encode(notice))


def pack_onward(onward: Onward) -> bytes:
    """The other leg of a transfer, for `Entry.news`."""
    return _pack(ONWARD, _encode(onward))


def _pack(sort: str, content: bytes) -> bytes:
    packed: bytes = msgpack.packb((sort, content))
    return packed


read_notice = msgspec.json.Decoder(Notice).decode
read_onward = msgspec.json.Decoder(Onward).decode
