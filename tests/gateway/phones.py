"""A phone as the gateway sees it while pairing: keys, a card, and requests made with a code."""

from dataclasses import dataclass, field, replace

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from wire.auth import Channel
from wire.card import Card, DeviceEntry, Role, Signed, Statement, StatementKind
from wire.codes import GatewayCode
from wire.ids import DeviceKey, PersonId
from wire.pairing import PairRequest

NEVER_STALE = 2**40


def exchange_key() -> bytes:
    """Return a fresh X25519 public key."""
    return bytes(PrivateKey.generate().public_key)


@dataclass
class Phone:
    """One device of one person."""

    root: SigningKey = field(default_factory=SigningKey.generate)
    key: SigningKey = field(default_factory=SigningKey.generate)
    exchange_key: bytes = field(default_factory=exchange_key)
    chain: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not self.chain:
            self.chain = (Signed.make(self.statement(), self.root).encode(),)

    @property
    def person(self) -> PersonId:
        """Whose phone it is."""
        return PersonId.of_root(bytes(self.root.verify_key))

    @property
    def device(self) -> DeviceKey:
        """The key it signs with."""
        return DeviceKey(bytes(self.key.verify_key))

    @property
    def entry(self) -> DeviceEntry:
        """This phone in a card."""
        return DeviceEntry(self.device, self.exchange_key, Role.PHONE)

    @property
    def card(self) -> Card:
        """The person's card."""
        return Card.follow(self.person, self.chain)

    def statement(self) -> Statement:
        """Return the first statement of this person's card."""
        return Statement(
            StatementKind.ROOT,
            bytes(self.root.verify_key),
            epoch=1,
            seq=0,
            prev=bytes(32),
            devices=(self.entry,),
            person_generation=1,
            person_public=exchange_key(),
            gateways=(),
            issued=0,
            expires=NEVER_STALE,
            signer=bytes(self.root.verify_key),
        )

    def sign_next(self, *devices: DeviceEntry) -> None:
        """Put one more statement, with these devices, on the person's chain."""
        newest = Signed.decode(self.chain[-1])
        statement = replace(
            newest.statement,
            kind=StatementKind.DEVICE,
            seq=newest.statement.seq + 1,
            prev=newest.hash,
            devices=devices,
            signer=self.device.raw,
        )
        self.chain = (*self.chain, Signed.make(statement, self.key).encode())

    def second(self) -> "Phone":
        """Return another phone of the same person, which this one has put on the card."""
        other = Phone(self.root, chain=self.chain)
        self.sign_next(self.entry, other.entry)
        other.chain = self.chain
        return other

    def asks(
        self, code: GatewayCode | bytes, *, channel: Channel, confirmed: bool = False
    ) -> PairRequest:
        """Return the request that this phone makes with a code, or with a secret it guessed."""
        return PairRequest.make(
            code.secret if isinstance(code, GatewayCode) else code,
            channel=channel,
            device=self.device,
            exchange_key=self.exchange_key,
            chain=self.chain,
            confirmed=confirmed,
        )
