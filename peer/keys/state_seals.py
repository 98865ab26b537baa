"""Seals what a person's devices tell each other: under the person key, padded, bound to its place.

    person key s_g  ->  HKDF "homepost/sync/1"          seals batches and snapshots of generation g
    person key s_1  ->  HKDF "homepost/state-names/1"   the account key: hides what a key is about

A device that was given a later generation reads the earlier ones too, and so has s_1; a revoked one
lacks the later (docs/protocol.md §15.3).
"""

from typing import Final

from peer.keys.errors import Broken
from peer.keys.person import PersonKey
from peer.keys.primitives import SEAL_BYTES, Random, seal, system_random, unseal
from peer.keys.vault import Vault
from wire.ids import DeviceId
from wire.kdf import framed, hkdf
from wire.padding import padded_length

FLOOR: Final = 256
"""Bytes of the shortest: one read mark looks like five."""
_LENGTH: Final = 4
PADDED_OVERHEAD: Final = SEAL_BYTES + _LENGTH
"""By how much what is sealed is longer than what is inside, beside the padding."""


def account_key(vault: Vault) -> bytes | None:
    """Return the key that hides what is spoken of; None while this device lacks it."""
    first = next((one for one in vault.person_keys() if one.generation == 1), None)
    return None if first is None else hkdf(first.seed, info=b"homepost/state-names/1")


def seal_batch(
    key: PersonKey, plain: bytes, *, device: DeviceId, seq: int, random: Random = system_random
) -> bytes:
    """Seal the changes that `device` gives the number `seq`."""
    return _seal(key, plain, _about("state-batch", key, device, seq), random)


def open_batch(key: PersonKey, sealed: bytes, *, device: DeviceId, seq: int) -> bytes:
    """Return the changes in a batch.

    Raises:
        Broken: another key, place or text.
    """
    return _open(key, sealed, _about("state-batch", key, device, seq))


def seal_snapshot(
    key: PersonKey, plain: bytes, *, device: DeviceId, random: Random = system_random
) -> bytes:
    """Seal all that counts, as `device` knows it."""
    return _seal(key, plain, _about("state-snapshot", key, device, 0), random)


def open_snapshot(key: PersonKey, sealed: bytes, *, device: DeviceId) -> bytes:
    """Return what is in a snapshot.

    Raises:
        Broken: another key, place or text.
    """
    return _open(key, sealed, _about("state-snapshot", key, device, 0))


def _seal(key: PersonKey, plain: bytes, about: bytes, random: Random) -> bytes:
    said = len(plain).to_bytes(_LENGTH, "big") + plain
    padded = said.ljust(padded_length(max(FLOOR, len(said))), b"\0")
    return seal(_sync_key(key), padded, about=about, random=random)


def _open(key: PersonKey, sealed: bytes, about: bytes) -> bytes:
    padded = unseal(_sync_key(key), sealed, about=about)
    length = int.from_bytes(padded[:_LENGTH], "big")
    said = _LENGTH + length
    if len(padded) != padded_length(max(FLOOR, said)) or any(padded[said:]):
        raise Broken("it is not padded as it must be")
    return padded[_LENGTH:said]


def _about(kind: str, key: PersonKey, device: DeviceId, seq: int) -> bytes:
    return framed(kind, device.raw, seq.to_bytes(8, "big"), key.generation.to_bytes(8, "big"))


def _sync_key(key: PersonKey) -> bytes:
    return hkdf(key.seed, info=b"homepost/sync/1")
