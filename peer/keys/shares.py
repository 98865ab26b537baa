"""A recovery seed in shares: so many friends and the gateway together have it, and nobody alone.

    seed  ->  two parts, of which both are needed (SLIP-39, two groups, threshold 2)
              the friends' part    k of n shares
              the gateway's part   one share

A share is twenty words of ten bits, 25 bytes. Each keeper has the marks of all shares too: whoever
hands out another share than he was given is named by the marks that the others have
(docs/protocol.md §16.4).
"""

import secrets
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from shamir_mnemonic import shamir
from shamir_mnemonic.share import Share
from shamir_mnemonic.utils import MnemonicError
from shamir_mnemonic.wordlist import mnemonic_from_indices, mnemonic_to_indices

from peer.errors import SharesDoNotFit
from peer.keys.person import SEED_BYTES
from peer.keys.words import ITERATIONS, WORDS
from wire.kdf import hash16, hash32

SHARE_BYTES: Final = 25
MARK_BYTES: Final = 8
MAX_KEEPERS: Final = 16
"""As many as SLIP-39 can tell apart."""
MIN_NEED: Final = 2
"""One friend and the gateway would be one friend and whoever owns the box."""
_FRIENDS, _GATEWAY = 0, 1
_BITS: Final = 10

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Split:
    """A seed in shares."""

    friends: tuple[bytes, ...] = field(repr=False)
    gateway: bytes = field(repr=False)

    @property
    def marks(self) -> bytes:
        """The marks of the friends' shares, one after the other."""
        return b"".join(mark_of(share) for share in self.friends)

    @property
    def secret(self) -> bytes:
        """What so many of the friends know together."""
        return friends_secret(self.friends)


def split(seed: bytes, *, need: int, count: int) -> Split:
    """Split a seed so that `need` of `count` friends and the gateway have it together.

    Raises:
        ValueError: fewer than two needed, more than there are, or too many.
    """
    if len(seed) != SEED_BYTES or not MIN_NEED <= need <= count <= MAX_KEEPERS:
        raise ValueError(f"no {need} of {count}")
    sealed = shamir.EncryptedMasterSecret.from_master_secret(
        seed, b"", secrets.randbits(15), True, ITERATIONS
    )
    friends, [gateway] = shamir.split_ems(2, [(need, count), (1, 1)], sealed)
    return Split(tuple(_packed(one) for one in friends), _packed(gateway))


def mark_of(share: bytes) -> bytes:
    """Return eight bytes that say of a share whether it is the one that was given."""
    return hash16("share-mark", share)[:MARK_BYTES]


def proof_key(secret: bytes) -> bytes:
    """Return what a gateway holds to know the friends' secret again, 32 bytes."""
    return hash32("friends-secret", secret)


def liars(shares: Mapping[K, tuple[bytes, bytes]]) -> tuple[K, ...]:
    """Return who hands out another share than he was given.

    Args:
        shares: of each keeper the share, and the marks of all shares as he has them. What most
            say counts.
    """
    most = Counter(marks for _, marks in shares.values()).most_common(1)
    if not most:
        return ()
    marks = most[0][0]
    known = {marks[at : at + MARK_BYTES] for at in range(0, len(marks), MARK_BYTES)}
    return tuple(
        keeper
        for keeper, (share, said) in shares.items()
        if mark_of(share) not in known or said != marks
    )


def friends_secret(shares: Sequence[bytes]) -> bytes:
    """Return what enough friends know together.

    Raises:
        SharesDoNotFit: too few, or they are not of one seed.
    """
    group = shamir.ShareGroup()
    try:
        for share in shares:
            group.add(_unpacked(share))
        if not group or not group.is_complete():
            raise SharesDoNotFit("these are too few shares")
        if group.group_parameters().group_index != _FRIENDS:
            raise SharesDoNotFit("this is no share that a friend keeps")
        minimal = group.get_minimal_group()
        secret: bytes = shamir._recover_secret(minimal.member_threshold(), minimal.to_raw_shares())
    except MnemonicError as error:
        raise SharesDoNotFit(f"the shares do not fit together: {error}") from None
    return secret


def join(friends: Sequence[bytes], gateway: bytes) -> bytes:
    """Return the seed from enough friends' shares and the gateway's.

    Raises:
        SharesDoNotFit: too few, or they are not of one seed.
    """
    try:
        groups = {_FRIENDS: shamir.ShareGroup(), _GATEWAY: shamir.ShareGroup()}
        for share in map(_unpacked, friends):
            groups[_FRIENDS].add(share)
        groups[_GATEWAY].add(_unpacked(gateway))
        groups[_FRIENDS] = groups[_FRIENDS].get_minimal_group()
        seed: bytes = shamir.recover_ems(groups).decrypt(b"")
    except (MnemonicError, StopIteration, ValueError) as error:
        raise SharesDoNotFit(f"the shares do not fit together: {error}") from None
    return seed


def _packed(share: Any) -> bytes:
    number = 0
    for index in mnemonic_to_indices(share.mnemonic()):
        number = number << _BITS | index
    return number.to_bytes(SHARE_BYTES, "big")


def _unpacked(share: bytes) -> Any:
    if len(share) != SHARE_BYTES:
        raise SharesDoNotFit(f"a share has {SHARE_BYTES} bytes")
    number = int.from_bytes(share, "big")
    indices = [number >> _BITS * place & 1023 for place in reversed(range(WORDS))]
    try:
        return Share.from_mnemonic(mnemonic_from_indices(indices))
    except MnemonicError as error:
        raise SharesDoNotFit(f"this is no share: {error}") from None
