"""The record of a person key: its secret, sealed to each device, the kit and the key that follows.

A gateway keeps the newest record of each generation for the person's devices. It reads whom a
record names and who signed it, and nothing of what is sealed in it (docs/protocol.md §14.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from wire.card import Card
from wire.codec import Value, decode, encode
from wire.errors import Malformed
from wire.fields import Fields
from wire.ids import DeviceId, DeviceKey, PersonId
from wire.signing import SIGNATURE_BYTES, sign, verify
from wire.statements import MAX_DEVICES, MAX_NUMBER, MAX_STATEMENT, check_exchange_key

RECORD_LIMIT: Final = 4096
"""Bytes of a record; one for ten devices has less than 2 KiB."""
MAX_STATEMENTS: Final = 4
"""Card statements that come with a record."""
PUT_LIMIT: Final = RECORD_LIMIT + MAX_STATEMENTS * (MAX_STATEMENT + 8) + 64
MAX_RECORDS: Final = 256
"""Records that a gateway keeps for a person: one for each device that was ever taken off."""
RECORDS_LIMIT: Final = MAX_RECORDS * (RECORD_LIMIT + 8) + 64
BOX_BYTES: Final = 32 + 24 + 32 + 16
"""A sealed box: an ephemeral key, a nonce, the secret and a tag."""
PREVIOUS_BYTES: Final = 24 + 32 + 16
"""The secret before, sealed under the one that follows it."""


@dataclass(frozen=True, slots=True)
class PersonKeyRecord:
    """One generation of a person key, for those who may have it."""

    person: PersonId
    generation: int
    public: bytes
    """The box key of this generation, as the card has it: X25519, 32 bytes."""
    card: bytes
    """Hash of the statement on which this record was made."""
    devices: tuple[tuple[DeviceId, bytes], ...]
    """For each device its box."""
    recovery: tuple[bytes, bytes]
    """The recovery box key (X25519, 32 bytes), and the box for it."""
    previous: tuple[int, bytes] | None
    """The generation before and its secret, sealed under this one; None for the first."""
    signer: DeviceKey
    signature: bytes = b""

    def body(self) -> bytes:
        """Return the bytes that are signed."""
        boxes: list[Value] = [[one.raw, box] for one, box in self.devices]
        before: Value = None if self.previous is None else list(self.previous)
        return encode(
            {
                0: 1,
                1: self.person.raw,
                2: self.generation,
                3: self.public,
                4: self.card,
                5: boxes,
                6: list(self.recovery),
                7: before,
                8: self.signer.raw,
            }
        )

    def signed(self, key: SigningKey) -> "PersonKeyRecord":
        """Return the record with the signature of the device that it names as its signer."""
        return PersonKeyRecord(
            self.person,
            self.generation,
            self.public,
            self.card,
            self.devices,
            self.recovery,
            self.previous,
            self.signer,
            sign(key, "person-key", self.body()),
        )

    def encode(self) -> bytes:
        """Return the message."""
        return encode([self.body(), self.signature])

    @classmethod
    def decode(cls, data: bytes) -> "PersonKeyRecord":
        """Read the message and check that its signer signed it; not yet whether he may.

        Raises:
            WireError: not a record of this version.
            NotSigned: the signature does not fit.
        """
        match decode(data, limit=RECORD_LIMIT):
            case [bytes(body), bytes(signature)] if len(signature) == SIGNATURE_BYTES:
                pass
            case _:
                raise Malformed("a record of a person key is its bytes and a signature")
        record = _from_body(body, signature)
        verify(record.signer.raw, "person-key", body=body, signature=signature)
        return record

    def stands_on(self, card: Card) -> bool:
        """Return whether it was made on `card` as it stands, by a device and for devices of it."""
        return (
            self.person == card.person
            and self.card == card.position.hash
            and self.opens(card)
            and card.device(self.signer.device) is not None
            and {one for one, _ in self.devices} == {one.id for one in card.devices}
        )

    def opens(self, card: Card) -> bool:
        """Return whether it holds the person key that `card` names."""
        here = (self.generation, self.public)
        return here == (card.person_generation, card.person_public)


def encode_put(record: PersonKeyRecord, *, statements: Sequence[bytes] = ()) -> bytes:
    """Return the request that hands over a record, with the statements on which it stands."""
    return encode({0: 1, 1: record.encode(), 2: list(statements)})


def decode_put(data: bytes) -> tuple[PersonKeyRecord, tuple[bytes, ...]]:
    """Read that request; the statements are not looked at.

    Raises:
        WireError: not a request of this version.
        NotSigned: the record's signature does not fit.
    """
    fields = Fields.read(data, limit=PUT_LIMIT, what="person key")
    fields.version(0, known=1)
    record = PersonKeyRecord.decode(fields.raw(1, limit=RECORD_LIMIT))
    statements = fields.list(2, limit=MAX_STATEMENTS)
    fields.end()
    return record, _byte_strings(statements, limit=MAX_STATEMENT)


def encode_records(records: Sequence[bytes]) -> bytes:
    """Return the answer that hands out records, the oldest generation first."""
    return encode({0: 1, 1: list(records)})


def decode_records(data: bytes) -> tuple[PersonKeyRecord, ...]:
    """Read that answer; each record's signature is checked, not who may sign.

    Raises:
        WireError: not an answer of this version.
    """
    fields = Fields.read(data, limit=RECORDS_LIMIT, what="person keys")
    fields.version(0, known=1)
    records = _byte_strings(fields.list(1, limit=MAX_RECORDS), limit=RECORD_LIMIT)
    fields.end()
    return tuple(PersonKeyRecord.decode(one) for one in records)


def _byte_strings(values: list[Value], *, limit: int) -> tuple[bytes, ...]:
    found = tuple(one for one in values if isinstance(one, bytes) and len(one) <= limit)
    if len(found) != len(values):
        raise Malformed(f"a list of byte strings of at most {limit} bytes")
    return found


def _from_body(body: bytes, signature: bytes) -> PersonKeyRecord:
    fields = Fields.read(body, limit=RECORD_LIMIT, what="record of a person key")
    fields.version(0, known=1)
    record = PersonKeyRecord(
        PersonId(fields.raw(1)),
        fields.integer(2, low=1, high=MAX_NUMBER),
        fields.raw(3, size=32),
        fields.raw(4, size=32),
        _boxes(fields.list(5, limit=MAX_DEVICES)),
        _recovery(fields.list(6, limit=2)),
        _previous(fields),
        DeviceKey(fields.raw(8)),
        signature,
    )
    fields.end()
    check_exchange_key(record.public)
    check_exchange_key(record.recovery[0])
    return record


def _boxes(values: list[Value]) -> tuple[tuple[DeviceId, bytes], ...]:
    found = []
    for value in values:
        match value:
            case [bytes(device), bytes(box)] if len(box) == BOX_BYTES:
                found.append((DeviceId(device), box))
            case _:
                raise Malformed("a box is a device and its sealed bytes")
    ids = [one.raw for one, _ in found]
    if not ids or ids != sorted(set(ids)):
        raise Malformed("boxes that are not in the order of their devices, each once")
    return tuple(found)


def _recovery(values: list[Value]) -> tuple[bytes, bytes]:
    match values:
        case [bytes(public), bytes(box)] if len(public) == 32 and len(box) == BOX_BYTES:
            return public, box
    raise Malformed("the box for recovery is a key and its sealed bytes")


def _previous(fields: Fields) -> tuple[int, bytes] | None:
    match fields.value(7):
        case None:
            return None
        case [int(generation), bytes(sealed)] if (
            not isinstance(generation, bool) and generation >= 1 and len(sealed) == PREVIOUS_BYTES
        ):
            return generation, sealed
    raise Malformed("the key before is a generation and its sealed bytes")
