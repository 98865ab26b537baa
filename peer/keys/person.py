"""The keys of a person and of her devices, and the key that two persons share.

    recovery seed (16)  ->  root key R (Ed25519)           who she is; signs the card rarely
                        ->  recovery box key (X25519)      each person key is sealed to it
    device              ->  dk (Ed25519), ik (X25519)      never leave the device
    person key, generation g: seed s_g (32)  ->  box key   X25519; on the card; rolls at revocation
    pair key K                                             of two persons; seals their envelopes

K needs both a Diffie-Hellman of the two box keys and S, 32 bytes from the exchange in which the two
became contacts. A revoked phone knows S and lacks the new box key; whoever breaks X25519 one day
lacks S. A new generation makes a new K with no message between the two (docs/protocol.md §6.2-6.4).
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from nacl.signing import SigningKey

from peer.keys.primitives import KEY_BYTES, Exchange, Random
from wire.ids import DeviceId, DeviceKey, PersonId
from wire.kdf import framed, hkdf

SEED_BYTES: Final = 16

Purpose = Literal["envelope", "tag", "gossip"]


def root_key(seed: bytes) -> SigningKey:
    """Return the root key that a recovery seed (16 bytes) stands for (docs/protocol.md §6.2)."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a recovery seed has {SEED_BYTES} bytes, not {len(seed)}")
    return SigningKey(hkdf(seed, info=b"homepost/root/1"))


def recovery_box(seed: bytes) -> Exchange:
    """Return the pair to which each person key is sealed, for whoever holds the kit.

    Its public half stays on the phone when the seed has gone (docs/protocol.md §14.1).
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a recovery seed has {SEED_BYTES} bytes, not {len(seed)}")
    return Exchange(hkdf(seed, info=b"homepost/recovery-box/1"))


@dataclass(frozen=True, slots=True)
class Device:
    """The secret keys of this device: `signing` is dk, `exchange` is ik."""

    signing: SigningKey = field(repr=False)
    exchange: Exchange
    key: DeviceKey = field(init=False, compare=False)
    """The public half of dk: the device's name on the card."""
    id: DeviceId = field(init=False, compare=False)
    """The device's short name in envelopes and items."""

    def __post_init__(self) -> None:
        key = DeviceKey(bytes(self.signing.verify_key))
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "id", key.device)

    @classmethod
    def generate(cls, random: Random) -> "Device":
        """Make the keys of a new device."""
        return cls(SigningKey(random(KEY_BYTES)), Exchange.generate(random))


@dataclass(frozen=True, slots=True)
class PersonKey:
    """The person key of one generation; generations count from 1."""

    generation: int
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, generation: int, random: Random) -> "PersonKey":
        """Make the person key of a new generation."""
        return cls(generation, random(KEY_BYTES))

    @property
    def own_lane(self) -> bytes:
        """The secret (32 bytes) of the lane on which the person's devices write to each other."""
        return hkdf(self.seed, info=b"homepost/own-lane/1")

    def among_ourselves(self, person: PersonId) -> "PairKey":
        """Return the key that seals envelopes from a person to her own other devices."""
        number = self.generation.to_bytes(8, "big")
        return PairKey(hkdf(self.seed, info=framed("own-devices", person.raw, number)))

    @property
    def box(self) -> Exchange:
        """The X25519 pair whose public half stands on the card."""
        return Exchange(hkdf(self.seed, info=b"homepost/person-box/1"))


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything this device holds of its person; the root key is not part of it."""

    person: PersonId
    device: Device
    person_key: PersonKey


@dataclass(frozen=True, slots=True)
class BoxKey:
    """A person's public box key, as her card has it."""

    person: PersonId
    generation: int
    public: bytes


@dataclass(frozen=True, slots=True)
class PairKey:
    """K: what two persons share under one pair of generations. Never a key itself."""

    secret: bytes = field(repr=False)
    _children: dict[tuple[str, PersonId, PersonId], bytes] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @classmethod
    def of(
        cls, person: PersonId, person_key: PersonKey, *, theirs: BoxKey, shared: bytes
    ) -> "PairKey":
        """Derive K; both persons get the same.

        Args:
            person: who we are.
            person_key: our person key.
            theirs: the other's box key.
            shared: S, 32 bytes, from the exchange.

        Raises:
            WeakKey: the other's box key has a low order.
        """
        agreed = person_key.box.agree(theirs.public)
        ends = sorted(
            [
                (person.raw, person_key.generation.to_bytes(8, "big")),
                (theirs.person.raw, theirs.generation.to_bytes(8, "big")),
            ]
        )
        (low, low_generation), (high, high_generation) = ends
        info = framed("friend", low, high, low_generation, high_generation)
        return cls(hkdf(agreed + shared, info=info))

    def child(self, purpose: Purpose, *, sender: PersonId, recipient: PersonId) -> bytes:
        """Return the key (32 bytes) of one purpose in one direction."""
        name = (purpose, sender, recipient)
        if name not in self._children:
            info = framed(f"friend-{purpose}", sender.raw, recipient.raw)
            self._children[name] = hkdf(self.secret, info=info)
        return self._children[name]
