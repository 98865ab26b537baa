"""Persons with devices that sign cards and prekeys, for tests of what the gateway keeps of them."""

import secrets
from dataclasses import dataclass, field

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from wire.archive import NOTHING_BEFORE, Head, Segment, SignedHead, body_hash
from wire.card import NO_PREVIOUS, Card, DeviceEntry, Signed, Statement, StatementKind
from wire.ids import DeviceKey, PersonId
from wire.person_keys import BOX_BYTES, PersonKeyRecord
from wire.prekeys import MLKEM_BYTES, X25519_BYTES, Prekey, PrekeyKind


@dataclass
class Phone:
    """A device with its keys."""

    signing: SigningKey = field(default_factory=SigningKey.generate)
    exchange: bytes = field(default_factory=lambda: bytes(PrivateKey.generate().public_key))

    @property
    def key(self) -> DeviceKey:
        """Its public signing key."""
        return DeviceKey(bytes(self.signing.verify_key))

    @property
    def entry(self) -> DeviceEntry:
        """How a card lists it."""
        return DeviceEntry(self.key, self.exchange)

    def prekey(self, kind: PrekeyKind, id: int) -> Prekey:
        """Make a signed prekey of random content."""
        size = X25519_BYTES if kind.size == X25519_BYTES else MLKEM_BYTES
        return Prekey.sign(self.signing, kind=kind, id=id, public=secrets.token_bytes(size))

    def segment(
        self,
        person: PersonId,
        *,
        on: Segment | None = None,
        body: bytes = b"sealed",
        generation: int = 1,
    ) -> Segment:
        """Make the segment of an archive that comes after `on`."""
        seq, before = (0, NOTHING_BEFORE) if on is None else (on.head.seq, on.head.hash)
        head = Head(person, seq + 1, before, generation, self.key, body_hash(body), len(body))
        return Segment(SignedHead.sign(head, self.signing), body)

    def prekeys(self, *, one_time: int = 0, kem: int = 0, first: int = 0) -> list[Prekey]:
        """Make one of each lasting kind and some one-time keys, with ids from `first`."""
        return [
            self.prekey(PrekeyKind.SIGNED, first),
            self.prekey(PrekeyKind.LAST_RESORT, first),
            *(self.prekey(PrekeyKind.ONE_TIME, first + n) for n in range(one_time)),
            *(self.prekey(PrekeyKind.ONE_TIME_KEM, first + n) for n in range(kem)),
        ]


class Person:
    """Somebody with a root key and a card."""

    def __init__(self, *phones: Phone) -> None:
        self.root = SigningKey.generate()
        self._generation = 1
        self._public = bytes(PrivateKey.generate().public_key)
        self.card = Card.begin(self.id, self.root_statement(*phones, epoch=1))

    @property
    def id(self) -> PersonId:
        """Who it is."""
        return PersonId.of_root(bytes(self.root.verify_key))

    def root_statement(self, *phones: Phone, epoch: int) -> Signed:
        """Make the root statement of an epoch, listing `phones`."""
        root = bytes(self.root.verify_key)
        return Signed.make(
            self._statement(
                StatementKind.ROOT, *phones, epoch=epoch, seq=0, prev=NO_PREVIOUS, signer=root
            ),
            self.root,
        )

    def device_statement(self, signer: Phone, *phones: Phone) -> Signed:
        """Make the next statement on the card, signed by `signer`, listing `phones`."""
        if not {one.key for one in self.card.devices} <= {one.entry.key for one in phones}:
            self._turn_person_key()
        where = self.card.position
        statement = self._statement(
            StatementKind.DEVICE,
            *phones,
            epoch=where.epoch,
            seq=where.seq + 1,
            prev=where.hash,
            signer=signer.key.raw,
        )
        return Signed.make(statement, signer.signing)

    def record(self, signer: Phone, *phones: Phone) -> PersonKeyRecord:
        """Make the record of the person key in force, for these phones; nobody can open it."""
        ids = sorted((one.entry.id for one in phones), key=lambda one: one.raw)
        return PersonKeyRecord(
            self.id,
            self.card.person_generation,
            self.card.person_public,
            self.card.position.hash,
            tuple((one, secrets.token_bytes(BOX_BYTES)) for one in ids),
            (bytes(PrivateKey.generate().public_key), secrets.token_bytes(BOX_BYTES)),
            None,
            signer.key,
        ).signed(signer.signing)

    def take(self, signed: Signed) -> Card:
        """Put a statement on the card; return the card."""
        self.card, _ = self.card.take(signed)
        return self.card

    def _turn_person_key(self) -> None:
        self._generation += 1
        self._public = bytes(PrivateKey.generate().public_key)

    def _statement(
        self,
        kind: StatementKind,
        *phones: Phone,
        epoch: int,
        seq: int,
        prev: bytes,
        signer: bytes,
    ) -> Statement:
        devices = sorted((one.entry for one in phones), key=lambda entry: entry.key.raw)
        return Statement(
            kind,
            bytes(self.root.verify_key),
            epoch=epoch,
            seq=seq,
            prev=prev,
            devices=tuple(devices),
            person_generation=self._generation,
            person_public=self._public,
            gateways=(),
            issued=1_800_000_000,
            expires=1_900_000_000,
            signer=signer,
        )
