"""Who an event is, what it says, and which delivery brought it: three short digests the wallet's call compares.

Identity (16 bytes) is of (tenant, source, id). The fingerprint (8 bytes) is of the normalised fields that decide the
charge, so a copy through another format is a duplicate, not a conflict. The delivery token (12 bytes) names the place
at a door: the same token again is a redelivery, another is a duplicate.
"""

from hashlib import blake2b

from xxhash import xxh3_64_digest

IDENTITY_BYTES = 16
FINGERPRINT_BYTES = 8
TOKEN_BYTES = 12
#: Doors that cannot redeliver (commands) bring no token: every repeat is a duplicate.
NO_TOKEN = bytes(TOKEN_BYTES)


def identity(tenant: str, source: str, event_id: str) -> bytes:
    """16-byte digest of the identity; the lengths are hashed in, so ("a", "bc") and ("ab", "c") differ."""
    text = f"{len(tenant)}:{len(source)}:{tenant}{source}{event_id}"
    return blake2b(text.encode(), digest_size=IDENTITY_BYTES).digest()


def fingerprint(
    shape: str, called_number: str | None, subscriber: str, session_id: str | None, quantity: int, start_ms: int,
    end_ms: int,
) -> bytes:  # fmt: skip
    """8-byte digest of the fields that decide the charge.

    `shape` has those that many events share (schemas.shape). `subscriber` is the resolved one, so that a copy that
    names the SIM by IMSI instead of ICCID has the same digest. It tells a repeat from a mistake and guards nothing, so
    it need not be a cryptographic one.
    """
    text = f"{quantity},{start_ms},{end_ms},{called_number},{len(subscriber)},{subscriber}{shape}{session_id}"
    return xxh3_64_digest(text.encode())


def door_digest(door: str) -> bytes:
    """6-byte digest of a door's name; compute it once per batch and add the position with `token`."""
    return blake2b(door.encode(), digest_size=TOKEN_BYTES - 6).digest()


def token(door: bytes, position: int) -> bytes:
    """12-byte delivery token from a door's digest and a position (below 2^48) there."""
    return door + position.to_bytes(6, "big")
