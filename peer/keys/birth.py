"""How a person begins, and how her card goes on: what only the holder of the keys can sign."""

from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from peer.keys.person import SEED_BYTES, Device, Identity, PersonKey, root_key
from peer.keys.primitives import Random, system_random
from peer.keys.vault import Vault
from wire.card import (
    CARD_SECONDS,
    NO_PREVIOUS,
    Card,
    DeviceEntry,
    GatewayEntry,
    Role,
    Signed,
    Statement,
    StatementKind,
)
from wire.ids import PersonId


def begin_person(
    vault: Vault, *, role: Role, now: float, random: Random = system_random
) -> tuple[Identity, Card]:
    """Make a new person with this device, inside a transaction; return her keys and first card.

    The recovery seed stays in the vault until the kit has been printed (`Vault.wipe_seed`).
    """
    seed = random(SEED_BYTES)
    root = root_key(seed)
    person = PersonId.of_root(bytes(root.verify_key))
    identity = Identity(person, Device.generate(random), PersonKey.generate(1, random))
    entry = DeviceEntry(identity.device.key, identity.device.exchange.public, role)
    public = bytes(root.verify_key)
    statement = Statement(
        StatementKind.ROOT,
        public,
        epoch=1,
        seq=0,
        prev=NO_PREVIOUS,
        devices=(entry,),
        person_generation=identity.person_key.generation,
        person_public=identity.person_key.box.public,
        gateways=(),
        issued=int(now),
        expires=int(now) + CARD_SECONDS,
        signer=public,
    )
    vault.keep_identity(identity, seed=seed)
    return identity, Card.begin(person, Signed.make(statement, root))


MAX_LINKS: Final = 4
"""Statements in a chain before the root begins it anew, while its seed is here: a card has to fit
in one message when two persons meet."""


def state_gateways(
    identity: Identity,
    card: Card,
    *,
    gateways: tuple[GatewayEntry, ...],
    now: float,
    seed: bytes | None = None,
) -> tuple[Card, Signed]:
    """Return the card with other gateways and the statement that says so; see `state`.

    Raises:
        CardRejected: this device is not on the card.
    """
    return state(identity, card, Change(gateways=gateways), now=now, seed=seed)


@dataclass(frozen=True, slots=True)
class Change:
    """What a new statement says otherwise than the one before; None: as it was."""

    devices: tuple[DeviceEntry, ...] | None = None
    person_key: PersonKey | None = None
    gateways: tuple[GatewayEntry, ...] | None = None


def state(
    identity: Identity, card: Card, change: Change, *, now: float, seed: bytes | None = None
) -> tuple[Card, Signed]:
    """Return the card with a change and the statement that says so.

    This device signs it; with the recovery `seed` the root does where the chain has grown long.

    Raises:
        CardRejected: this device is not on the card, or no such statement can stand there.
    """
    position = card.position
    root = None if seed is None else root_key(seed)
    anew = root is not None and len(card.chain) >= MAX_LINKS and _in_force(root, card)
    devices = card.devices if change.devices is None else change.devices
    key = change.person_key
    statement = Statement(
        StatementKind.ROOT if anew else StatementKind.DEVICE,
        card.root_key,
        epoch=position.epoch + anew,
        seq=0 if anew else position.seq + 1,
        prev=NO_PREVIOUS if anew else position.hash,
        devices=tuple(sorted(devices, key=lambda one: one.key.raw)),
        person_generation=card.person_generation if key is None else key.generation,
        person_public=card.person_public if key is None else key.box.public,
        gateways=card.gateways if change.gateways is None else change.gateways,
        issued=int(now),
        expires=int(now) + CARD_SECONDS,
        signer=card.root_key if anew else identity.device.key.raw,
    )
    signer = root if anew and root is not None else identity.device.signing
    signed = Signed.make(statement, signer)
    extended, _verdict = card.take(signed)
    return extended, signed


def _in_force(root: SigningKey, card: Card) -> bool:
    return bytes(root.verify_key) == card.root_key
