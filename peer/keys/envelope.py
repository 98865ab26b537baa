"""The envelope: what lies between the parcel that a gateway sees and the item that people read.

    parcel body   suite (1) || nonce (24) || XChaCha20-Poly1305 of:
                  length (4, big-endian) || envelope (CBOR) || zeros up to a Padmé length
    envelope      author, author's device, its number towards the recipient, key packets,
                  body ciphertext, and what both sides know of each other's cards
    key packet    for one device, in its own session: body key (32) || body hash (32) || flags (32)
    body          nonce (24) || XChaCha20-Poly1305 of the signed item under the body key

The body is sealed once, its key once for each device. The hash in the packet ties the key to this
body: a device that got the key cannot pass on another text under it. There is no form without a
seal (docs/protocol.md §8.1-8.3).
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from peer.keys.errors import BodySwapped, Broken, NotForUs, TooLarge, WrongAuthor
from peer.keys.person import PairKey
from peer.keys.primitives import KEY_BYTES, SEAL_BYTES, Random, seal, unseal
from wire.card import Position
from wire.codec import Value, encode
from wire.errors import Malformed, UnknownVersion
from wire.fields import Fields
from wire.ids import DeviceId, ParcelId, PersonId
from wire.kdf import framed, hash32
from wire.padding import padded_length
from wire.parcel import MAX_BODY, MIN_BODY

VERSION: Final = 1
SUITE: Final = 1
"""XChaCha20-Poly1305 under the pair key's child for envelopes."""
MAX_PACKETS: Final = 20
"""Ten devices of the recipient and ten of the author."""
PACKET_LIMIT: Final = 2048
FLAGS_BYTES: Final = 32
HASH_BYTES: Final = 32
PACKET_PLAINTEXT: Final = KEY_BYTES + HASH_BYTES + FLAGS_BYTES
MAX_NUMBER: Final = (1 << 63) - 1
_OUTSIDE: Final = 1 + SEAL_BYTES + 4


class PacketKind(IntEnum):
    """How a key packet is read."""

    ONGOING = 1
    """session id (16) || ratchet message"""
    FIRST = 2
    """length of the set-up (2, big-endian) || set-up || ratchet message"""


@dataclass(frozen=True, slots=True)
class Packet:
    """The body's key for one device."""

    device: DeviceId
    kind: int
    """A PacketKind, or one of a newer app."""
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One item for one recipient person."""

    author: PersonId
    device: DeviceId
    number: int
    """Counts from 1 for each recipient person, without gaps, on each of the author's devices."""
    packets: tuple[Packet, ...]
    body: bytes = field(repr=False)
    mine: Position
    """The author's card as the author has it."""
    yours: Position
    """The recipient's card as the author has it: a card that was withheld shows here."""
    again: int = 0
    """The number under which the same item was sent before, in answer to `resend`; else 0."""

    def encode(self) -> bytes:
        """Return the CBOR form."""
        return encode(
            {
                0: VERSION,
                1: self.author.raw,
                2: self.device.raw,
                3: self.number,
                4: [[one.device.raw, one.kind, one.raw] for one in self.packets],
                5: self.body,
                6: _position_value(self.mine),
                7: _position_value(self.yours),
                8: self.again,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "Envelope":
        """Read the CBOR form.

        Raises:
            WireError: no envelope of this version.
        """
        fields = Fields.read(data, limit=MAX_BODY, what="envelope")
        fields.version(0, known=VERSION)
        author, device = PersonId(fields.raw(1)), DeviceId(fields.raw(2))
        number = fields.integer(3, low=1, high=MAX_NUMBER)
        packets = tuple(_packet(one) for one in fields.list(4, limit=MAX_PACKETS))
        body = fields.raw(5, limit=MAX_BODY)
        mine = _position(fields.list(6, limit=3))
        yours = _position(fields.list(7, limit=3))
        again = fields.integer(8, low=0, high=MAX_NUMBER)
        fields.end()
        if len({one.device for one in packets}) != len(packets):
            raise Malformed("two packets for one device")
        return cls(author, device, number, packets, body, mine, yours, again)

    def packet_for(self, device: DeviceId) -> Packet:
        """Return the packet for `device`.

        Raises:
            NotForUs: there is none.
        """
        for packet in self.packets:
            if packet.device == device:
                return packet
        raise NotForUs("the envelope has no key for this device")


def seal_envelope(
    envelope: Envelope, *, key: PairKey, recipient: PersonId, parcel: ParcelId, random: Random
) -> bytes:
    """Return the parcel body: padded, then sealed for `recipient`.

    Raises:
        TooLarge: it does not fit in one parcel.
    """
    inner = envelope.encode()
    total = max(MIN_BODY, padded_length(_OUTSIDE + len(inner)))
    if total > MAX_BODY:
        raise TooLarge(size=_OUTSIDE + len(inner), limit=MAX_BODY)
    plaintext = len(inner).to_bytes(4, "big") + inner + bytes(total - _OUTSIDE - len(inner))
    child = key.child("envelope", sender=envelope.author, recipient=recipient)
    about = _about(envelope.author, recipient, parcel)
    return bytes([SUITE]) + seal(child, plaintext, about=about, random=random)


def open_envelope(
    body: bytes,
    *,
    keys: Iterable[PairKey],
    sender: PersonId,
    recipient: PersonId,
    parcel: ParcelId,
) -> Envelope:
    """Open a parcel body that came on a lane of `sender`.

    Args:
        body: as it came.
        keys: the pair keys with the sender, the newest first.
        sender: whose lane it came on.
        recipient: ourselves.
        parcel: the id of the parcel it came in.

    Raises:
        NotForUs: none of the keys opens it.
        WrongAuthor: it names another author than the lane's owner.
        WireError: what was sealed is no envelope of this version.
    """
    if len(body) < MIN_BODY or padded_length(len(body)) != len(body):
        raise Malformed("a body of no padded length")
    if body[0] != SUITE:
        raise UnknownVersion("a sealed envelope", version=body[0])
    plaintext = _opened(body[1:], keys, _about(sender, recipient, parcel), sender, recipient)
    length = int.from_bytes(plaintext[:4], "big")
    inner, padding = plaintext[4 : 4 + length], plaintext[4 + length :]
    if len(inner) != length or padding.count(0) != len(padding):
        raise Malformed("an envelope that was not padded with zeros")
    envelope = Envelope.decode(inner)
    if envelope.author != sender:
        raise WrongAuthor("the envelope names another author than the lane it came on")
    return envelope


def seal_body(item: bytes, *, author: PersonId, random: Random) -> tuple[bytes, bytes]:
    """Seal a signed item under a new key; return the packet plaintext (96) and the ciphertext."""
    key = random(KEY_BYTES)
    body = seal(key, item, about=framed("body", author.raw), random=random)
    return key + body_hash(body) + bytes(FLAGS_BYTES), body


def open_body(packet: bytes, body: bytes, *, author: PersonId) -> bytes:
    """Return the signed item in `body`.

    Args:
        packet: the 96 bytes that came out of the session.
        body: the ciphertext beside it.
        author: the envelope's author.

    Raises:
        BodySwapped: the packet was made for another body.
        Broken: the body does not open under the packet's key.
    """
    if len(packet) != PACKET_PLAINTEXT:
        raise Broken(f"a key packet has {PACKET_PLAINTEXT} bytes")
    key, wanted = packet[:KEY_BYTES], packet[KEY_BYTES : KEY_BYTES + HASH_BYTES]
    if not hmac.compare_digest(wanted, body_hash(body)):
        raise BodySwapped("the key packet belongs to another body")
    return unseal(key, body, about=framed("body", author.raw))


def body_hash(body: bytes) -> bytes:
    """Return what a key packet names its body by (32 bytes)."""
    return hash32("packet-body", body)


def first_packet(set_up: bytes, message: bytes) -> bytes:
    """Return the packet that begins a session."""
    return len(set_up).to_bytes(2, "big") + set_up + message


def split_first_packet(raw: bytes) -> tuple[bytes, bytes]:
    """Return set-up and ratchet message of a packet that begins a session.

    Raises:
        Malformed: it is too short.
    """
    length = int.from_bytes(raw[:2], "big")
    if len(raw) < 2 + length:
        raise Malformed("a packet that ends inside its set-up")
    return raw[2 : 2 + length], raw[2 + length :]


def _packet(value: Value) -> Packet:
    match value:
        case [bytes(device), int(kind), bytes(raw)] if type(kind) is int and 0 <= kind <= 255:
            if len(raw) > PACKET_LIMIT:
                raise Malformed(f"a packet has more than {PACKET_LIMIT} bytes")
            return Packet(DeviceId(device), kind, raw)
    raise Malformed("a packet is a device, a kind from 0 to 255, and a byte string")


def _position_value(position: Position) -> Value:
    return [position.epoch, position.seq, position.hash]


def _position(value: list[Value]) -> Position:
    match value:
        case [int(epoch), int(seq), bytes(hash_)] if type(epoch) is int and type(seq) is int:
            if 1 <= epoch <= MAX_NUMBER and 0 <= seq <= MAX_NUMBER and len(hash_) == HASH_BYTES:
                return Position(epoch, seq, hash_)
    raise Malformed("a card's position is its epoch, its number and a hash")


def _about(sender: PersonId, recipient: PersonId, parcel: ParcelId) -> bytes:
    return framed("envelope", bytes([SUITE]), sender.raw, recipient.raw, parcel.raw)


def _opened(
    sealed: bytes, keys: Iterable[PairKey], about: bytes, sender: PersonId, recipient: PersonId
) -> bytes:
    for key in keys:
        try:
            child = key.child("envelope", sender=sender, recipient=recipient)
            return unseal(child, sealed, about=about)
        except Broken:
            continue
    raise NotForUs("no key that we share with this contact opens it")
