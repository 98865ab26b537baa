"""Segments of an archive: each with a signed head, all in one chain, opened by its person alone.

    segment   CBOR [head, signature (64), body]
    head      says whose, which, after which, sealed under which generation, by which device

The head names the hash of its body, so that the hash of the newest head stands for all that was
ever put into the archive. A body that a gateway has lost is empty, and its head says what is
missing (docs/protocol.md §17.1).
"""

from dataclasses import dataclass, field
from typing import Final, Self

from nacl.signing import SigningKey

from wire.codec import decode, encode
from wire.errors import Malformed, NotSigned
from wire.fields import Fields
from wire.ids import DeviceKey, PersonId
from wire.kdf import hash32
from wire.signing import SIGNATURE_BYTES, sign, verify

VERSION: Final = 1
MAX_HEAD: Final = 512
MAX_BODY: Final = (1 << 20) + 48 * 1024
"""Bytes of a body: the largest item, the person's card and the padding fit."""
MAX_SEGMENT: Final = MAX_BODY + MAX_HEAD + SIGNATURE_BYTES + 16
MAX_RANGE: Final = 1 << 20
"""Bytes of segments in one answer, unless the first alone is larger."""
MAX_SEQ: Final = (1 << 63) - 1
NOTHING_BEFORE: Final = bytes(32)
"""What the first segment names as the one before it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a device says of one segment."""

    person: PersonId
    seq: int
    """Its place, from 1."""
    before: bytes
    """Hash of the head before it."""
    generation: int
    """Of the person key under which the body is sealed."""
    device: DeviceKey
    """Who wrote it."""
    body_hash: bytes
    body_size: int

    def encode(self) -> bytes:
        """Return the bytes to sign."""
        return encode(
            {
                0: VERSION,
                1: self.person.raw,
                2: self.seq,
                3: self.before,
                4: self.generation,
                5: self.device.raw,
                6: self.body_hash,
                7: self.body_size,
            }
        )

    @property
    def hash(self) -> bytes:
        """What the next head names: it stands for this segment and all before it."""
        return hash32("archive-link", self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the signed bytes.

        Raises:
            Malformed, UnknownVersion
        """
        fields = Fields.read(data, limit=MAX_HEAD, what="archive head")
        fields.version(0, known=VERSION)
        head = cls(
            PersonId(fields.raw(1)),
            fields.integer(2, low=1, high=MAX_SEQ),
            fields.raw(3, size=32),
            fields.integer(4, low=1, high=MAX_SEQ),
            DeviceKey(fields.raw(5)),
            fields.raw(6, size=32),
            fields.integer(7, low=1, high=MAX_BODY),
        )
        fields.end()
        if (head.seq == 1) != (head.before == NOTHING_BEFORE):
            raise Malformed("only the first segment has none before it")
        return head


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head with its device's signature: what contacts bear witness to."""

    head: Head
    signature: bytes = field(repr=False)

    @classmethod
    def sign(cls, head: Head, key: SigningKey) -> Self:
        """Sign `head` as the device whose key it names."""
        return cls(head, sign(key, "archive-head", head.encode()))

    def encode(self) -> bytes:
        """Return head and signature as they are kept and told."""
        return encode([self.head.encode(), self.signature])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read and verify.

        Raises:
            Malformed, UnknownVersion
            NotSigned: not by the device that it names.
        """
        match decode(data, limit=MAX_HEAD + SIGNATURE_BYTES + 16):
            case [bytes(body), bytes(signature)]:
                return cls.checked(body, signature)
        raise Malformed("a signed head is a list of two byte strings")

    @classmethod
    def checked(cls, body: bytes, signature: bytes) -> Self:
        """Read a head and verify the signature over it.

        Raises:
            Malformed, UnknownVersion, NotSigned
        """
        head = Head.decode(body)
        verify(head.device.raw, "archive-head", body=body, signature=signature)
        return cls(head, signature)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: the head, and the sealed body; an empty one was lost where it lay."""

    signed: SignedHead
    body: bytes = field(repr=False)

    @property
    def head(self) -> Head:
        """What is said of it."""
        return self.signed.head

    @property
    def lost(self) -> bool:
        """Whether only the head is left."""
        return not self.body

    def encode(self) -> bytes:
        """Return the segment as it travels."""
        return encode([self.head.encode(), self.signed.signature, self.body])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read and verify all that can be verified without a key.

        Raises:
            Malformed, UnknownVersion
            NotSigned: not by the device that it names, or with another body.
        """
        match decode(data, limit=MAX_SEGMENT):
            case [bytes(head), bytes(signature), bytes(body)]:
                return cls.of(SignedHead.checked(head, signature), body)
        raise Malformed("a segment is a list of three byte strings")

    @classmethod
    def of(cls, signed: SignedHead, body: bytes) -> Self:
        """Join a head and its body.

        Raises:
            NotSigned: the head is of another body.
        """
        fits = (len(body), body_hash(body)) == (signed.head.body_size, signed.head.body_hash)
        if body and not fits:
            raise NotSigned("the head of this segment is of another body")
        return cls(signed, body)


def body_hash(body: bytes) -> bytes:
    """Return the hash by which a head names its body."""
    return hash32("archive-body", body)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a gateway holds of an archive."""

    first: int
    """The lowest number; 0 in an empty one."""
    used_bytes: int
    limit_bytes: int
    newest: SignedHead | None

    def encode(self) -> bytes:
        """Return the answer of `GET /v1/archive`."""
        newest = b"" if self.newest is None else self.newest.encode()
        return encode({0: 1, 1: self.first, 2: self.used_bytes, 3: self.limit_bytes, 4: newest})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read it.

        Raises:
            Malformed, UnknownVersion, NotSigned
        """
        fields = Fields.read(data, limit=1024, what="archive")
        fields.version(0, known=1)
        first, used, limit = (fields.integer(key, low=0, high=MAX_SEQ) for key in (1, 2, 3))
        newest = fields.raw(4, limit=MAX_HEAD + SIGNATURE_BYTES + 16)
        return cls(first, used, limit, SignedHead.decode(newest) if newest else None)


def encode_range(segments: list[bytes]) -> bytes:
    """Return segments as one answer, in their order."""
    return encode(list(segments))


def decode_range(data: bytes) -> tuple[bytes, ...]:
    """Read the segments of an answer; each is verified alone, so that one spoils no other.

    Raises:
        Malformed
    """
    value = decode(data, limit=MAX_RANGE + MAX_SEGMENT + 64)
    if not isinstance(value, list):
        raise Malformed("an answer with segments is a list")
    found = tuple(one for one in value if isinstance(one, bytes))
    if len(found) != len(value):
        raise Malformed("a segment is a byte string")
    return found
