"""Making prekeys: what this device leaves at its gateway so that others can begin a session.

    signed prekey, last resort   a new one each week; the secret half lives 194 days more
    one-time X25519              up to 100; refilled below 50
    one-time ML-KEM              up to 20; refilled below 10

A batch has a random size, so that its length does not tell how many were taken since. Keys whose
way to the gateway was not confirmed are offered again instead of making others; ids only rise, so
that a gateway which did take them the first time takes none of them twice
(docs/protocol.md §6.3, §10.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from peer.keys.person import Identity
from peer.keys.primitives import Encapsulation, Exchange, Random, system_random
from peer.keys.sessions import DAY
from peer.keys.vault import Vault
from wire.prekeys import X25519_BYTES, Bundle, Prekey, PrekeyKind

ROTATE_SECONDS: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class Stock:
    """How many one-time prekeys of a kind should lie at the gateway."""

    full: int
    refill_below: int
    spread: int
    """A refill leaves so many out at most, at random."""


STOCKS: Final[Mapping[PrekeyKind, Stock]] = {
    PrekeyKind.ONE_TIME: Stock(100, refill_below=50, spread=25),
    PrekeyKind.ONE_TIME_KEM: Stock(20, refill_below=10, spread=5),
}
LASTING: Final = (PrekeyKind.SIGNED, PrekeyKind.LAST_RESORT)


def mint(
    vault: Vault,
    identity: Identity,
    *,
    counts: Mapping[PrekeyKind, int],
    now: float,
    random: Random = system_random,
) -> tuple[Prekey, ...]:
    """Return what to upload now, nothing if all is there; inside a transaction.

    Args:
        vault: keeps the secret halves before anything leaves the phone.
        identity: our keys.
        counts: how many of each kind the gateway says it has.
        now: Unix seconds.
        random: where keys, ids and the size of a batch come from.
    """
    found: list[Prekey] = []
    for kind in LASTING:
        current = vault.prekeys.current(kind)
        if current is None or not 0 <= now - current[2] < ROTATE_SECONDS:
            found.append(_rotate(vault, identity, kind=kind, now=now, random=random))
        elif not counts.get(kind, 0) or kind in _unoffered(vault):
            found.append(_public(identity, kind, current[0], secret=current[1]))
    for kind, stock in STOCKS.items():
        found += _refill(
            vault, identity, kind=kind, wanted=_batch(stock, counts.get(kind, 0), random),
            now=now, random=random,
        )  # fmt: skip
    return tuple(found)


def confirm(vault: Vault, prekeys: tuple[Prekey, ...]) -> None:
    """Note, inside a transaction, that the gateway has taken an upload."""
    for prekey in prekeys:
        vault.prekeys.offered(prekey.kind, prekey.id)


def private_bundle(
    vault: Vault, identity: Identity, *, now: float, random: Random = system_random
) -> Bundle:
    """Return a bundle for one contact alone, whose one-time keys never lie at a gateway."""
    current = vault.prekeys.current(PrekeyKind.SIGNED)
    if current is None:
        signed = _rotate(vault, identity, kind=PrekeyKind.SIGNED, now=now, random=random)
    else:
        signed = _public(identity, PrekeyKind.SIGNED, current[0], secret=current[1])
    kem, one_time = (
        _make(vault, identity, kind=kind, offered=True, now=now, random=random)
        for kind in (PrekeyKind.ONE_TIME_KEM, PrekeyKind.ONE_TIME)
    )
    return Bundle(identity.device.key, signed, kem, one_time)


def _batch(stock: Stock, count: int, random: Random) -> int:
    if count >= stock.refill_below:
        return 0
    if count == 0:
        return stock.full
    return stock.full - count - random(1)[0] % (stock.spread + 1)


def _refill(
    vault: Vault,
    identity: Identity,
    *,
    kind: PrekeyKind,
    wanted: int,
    now: float,
    random: Random,
) -> list[Prekey]:
    waiting = vault.prekeys.unoffered(kind)[:wanted]
    found = [_public(identity, kind, id, secret=secret) for id, secret in waiting]
    while len(found) < wanted:
        found.append(_make(vault, identity, kind=kind, offered=False, now=now, random=random))
    return found


def _unoffered(vault: Vault) -> set[PrekeyKind]:
    return {kind for kind in LASTING if vault.prekeys.unoffered(kind)}


def _rotate(
    vault: Vault, identity: Identity, *, kind: PrekeyKind, now: float, random: Random
) -> Prekey:
    prekey = _make(vault, identity, kind=kind, offered=False, now=now, random=random)
    vault.prekeys.retire(kind, but=prekey.id, now=now)
    return prekey


def _make(
    vault: Vault,
    identity: Identity,
    *,
    kind: PrekeyKind,
    offered: bool,
    now: float,
    random: Random,
) -> Prekey:
    id = vault.prekeys.next_id(kind)
    pair = (Exchange if kind.size == X25519_BYTES else Encapsulation).generate(random)
    secret = pair.secret if isinstance(pair, Exchange) else pair.seed
    vault.prekeys.keep(kind, id, secret=secret, offered=offered, now=now)
    return _public(identity, kind, id, secret=secret)


def _public(identity: Identity, kind: PrekeyKind, id: int, *, secret: bytes) -> Prekey:
    pair = Exchange(secret) if kind.size == X25519_BYTES else Encapsulation(secret)
    return Prekey.sign(identity.device.signing, kind=kind, id=id, public=pair.public)
