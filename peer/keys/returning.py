"""What the holder of a recovery seed makes: a new device, a new person key, a statement over them.

    the card is known      its epoch and generation go on by one
    it is not              both are the time in seconds: higher than whatever was counted up

The seed itself is kept nowhere: it is on paper, or with friends (docs/protocol.md §16.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from nacl.signing import SigningKey

from peer.errors import WrongKit
from peer.keys.errors import KeysError
from peer.keys.person import Device, Identity, PersonKey, recovery_box, root_key
from peer.keys.person_records import older_keys, open_for_recovery
from peer.keys.primitives import Random, system_random
from wire.auth import Channel
from wire.card import CARD_SECONDS, NO_PREVIOUS, Card, DeviceEntry, Role, Signed
from wire.ids import PersonId, RecoveryId
from wire.person_keys import PersonKeyRecord
from wire.recovery import Purpose, Recover, RootProof
from wire.statements import Statement, StatementKind


@dataclass(frozen=True, slots=True)
class Root:
    """A recovery seed in use."""

    seed: bytes = field(repr=False)

    @property
    def key(self) -> SigningKey:
        """The root key."""
        return root_key(self.seed)

    @property
    def person(self) -> PersonId:
        """Whose it is."""
        return PersonId.of_root(bytes(self.key.verify_key))

    def check(self, person: PersonId) -> None:
        """Check that it is this person's.

        Raises:
            WrongKit: it is another's; nothing was made.
        """
        if self.person != person:
            raise WrongKit(
                "the seed of this kit does not belong to the person whose kit it says it is; it was"
                " mistyped or altered, and nothing was made of it"
            )

    def proving(self, request: RecoveryId) -> "partial[RootProof]":
        """Return what answers a challenge with the root key, about a request."""
        return partial(self.proof, about=request)

    def proof(
        self, *, channel: Channel, nonce: bytes, purpose: Purpose, about: RecoveryId | None = None
    ) -> RootProof:
        """Answer a challenge with the root key."""
        return RootProof.make(
            self.key,
            person=self.person,
            channel=channel,
            nonce=nonce,
            purpose=purpose,
            about=b"" if about is None else about.raw,
        )


@dataclass(frozen=True, slots=True)
class Returning:
    """Somebody who comes back: keys that nobody else has seen, and her card with them."""

    identity: Identity
    card: Card
    statement: Signed
    recovery: bytes
    """The public half of the recovery box key."""

    @classmethod
    def begin(
        cls,
        root: Root,
        before: Card | None,
        *,
        role: Role,
        now: float,
        random: Random = system_random,
    ) -> "Returning":
        """Make keys and statement.

        Args:
            root: whose they are.
            before: her card as her gateway holds it; None where the gateway is gone.
            role: what this device is.
            now: Unix seconds.
            random: where keys come from.

        Raises:
            WrongKit: the card names another root key by now.
        """
        key, public = root.key, bytes(root.key.verify_key)
        if before is not None and before.root_key != public:
            raise WrongKit("the card names another root key: a newer kit was made since")
        epoch = int(now) if before is None else before.position.epoch + 1
        generation = int(now) if before is None else before.person_generation + 1
        device, person_key = Device.generate(random), PersonKey.generate(generation, random)
        statement = Statement(
            StatementKind.ROOT,
            public,
            epoch=epoch,
            seq=0,
            prev=NO_PREVIOUS,
            devices=(DeviceEntry(device.key, device.exchange.public, role),),
            person_generation=generation,
            person_public=person_key.box.public,
            gateways=() if before is None else before.gateways,
            issued=int(now),
            expires=int(now) + CARD_SECONDS,
            signer=public,
        )
        signed = Signed.make(statement, key)
        card = Card.begin(root.person, signed) if before is None else before.take(signed)[0]
        identity = Identity(root.person, device, person_key)
        return cls(identity, card, signed, recovery_box(root.seed).public)

    def answer(self, *, channel: Channel, nonce: bytes) -> Recover:
        """Answer a challenge as the new device."""
        return Recover.make(
            self.identity.device.signing,
            person=self.identity.person,
            statement=self.statement,
            channel=channel,
            nonce=nonce,
        )


def earlier_keys(root: Root, records: Sequence[PersonKeyRecord]) -> tuple[PersonKey, ...]:
    """Return all person keys that the records hold for the kit, the newest first.

    A gateway may have left out the newest record, or put in one that nobody signed who should
    have: a key that opens nothing does no harm, and each that opens is that of its record.
    """
    box, found = recovery_box(root.seed), dict[int, PersonKey]()
    for record in sorted(records, key=lambda one: one.generation, reverse=True):
        if record.person != root.person or record.generation in found:
            continue
        try:
            key = open_for_recovery(record, box)
        except KeysError:
            continue
        for one in (key, *older_keys(key, records)):
            found.setdefault(one.generation, one)
    return tuple(found[one] for one in sorted(found, reverse=True))
