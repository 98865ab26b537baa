"""Seals segments of the archive, and opens them again (docs/protocol.md §17.3).

    key      child of the vault key, which is a child of the person key of one generation
    stream   libsodium's secretstream: chunks of 64 KiB, each bound to those before it and to the
             head's place, the last one marked as the last

The content is padded and never compressed: with a text of somebody else's choice in it, a length
would tell what stands beside that text. Each segment has a key stream of its own, since a stream
begins with 24 random bytes; a phone that was copied or set back seals nothing under an old one.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES as MORE_BYTES,
)
from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_HEADERBYTES as STREAM_BYTES,
)
from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_init_push,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
)
from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_TAG_FINAL as LAST,
)
from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE as GOES_ON,
)
from nacl.exceptions import CryptoError

from peer.keys.errors import Broken, GenerationUnknown
from peer.keys.person import Identity, PersonKey
from wire.archive import NOTHING_BEFORE, Head, Segment, SignedHead, body_hash
from wire.ids import DeviceKey, PersonId
from wire.kdf import framed, hkdf
from wire.padding import padded_length

CHUNK: Final = 64 * 1024
MIN_CONTENT: Final = 256
_LENGTH_BYTES: Final = 4


def seal_segment(content: bytes, *, identity: Identity, on: Head | None) -> Segment:
    """Seal `content` as the segment that comes after `on`, and sign its head as this device.

    Args:
        content: what the segment holds.
        identity: our keys; the person key of its generation seals.
        on: the newest head; None in an empty archive.
    """
    seq, before = (1, NOTHING_BEFORE) if on is None else (on.seq + 1, on.hash)
    person, generation = identity.person, identity.person_key.generation
    device = identity.device.key
    about = _about(person, seq=seq, before=before, generation=generation, device=device)
    state = crypto_secretstream_xchacha20poly1305_state()
    body = crypto_secretstream_xchacha20poly1305_init_push(
        state, segment_key(identity.person_key, person)
    )
    padded = _padded(content)
    for start in range(0, len(padded), CHUNK):
        tag = LAST if start + CHUNK >= len(padded) else GOES_ON
        chunk = padded[start : start + CHUNK]
        body += crypto_secretstream_xchacha20poly1305_push(state, chunk, about, tag)
    head = Head(person, seq, before, generation, device, body_hash(body), len(body))
    return Segment(SignedHead.sign(head, identity.device.signing), body)


def open_segment(segment: Segment, keys: Sequence[PersonKey]) -> bytes:
    """Return what a segment holds.

    Args:
        segment: its head's signature was checked; whose the device is was not.
        keys: the person keys of all generations that we have.

    Raises:
        GenerationUnknown: it is sealed under a person key that we do not have.
        Broken: another key, other bytes, another place, or not all of it.
    """
    generation = segment.head.generation
    fitting = [one for one in keys if one.generation == generation]
    if not fitting:
        raise GenerationUnknown(f"sealed under generation {generation} of the person key")
    for key in fitting[:-1]:  # two devices may have made one each; either may have sealed
        with suppress(Broken):
            return _open(segment, key)
    return _open(segment, fitting[-1])


def _open(segment: Segment, key: PersonKey) -> bytes:
    head, body = segment.head, segment.body
    about = _about(
        head.person,
        seq=head.seq,
        before=head.before,
        generation=head.generation,
        device=head.device,
    )
    state = crypto_secretstream_xchacha20poly1305_state()
    found, start, marked = bytearray(), STREAM_BYTES, GOES_ON
    try:
        crypto_secretstream_xchacha20poly1305_init_pull(
            state, body[:STREAM_BYTES], segment_key(key, head.person)
        )
        while start < len(body) and marked == GOES_ON:
            chunk = body[start : start + CHUNK + MORE_BYTES]
            part, marked = crypto_secretstream_xchacha20poly1305_pull(state, chunk, about)
            found += part
            start += len(chunk)
    except (CryptoError, ValueError, RuntimeError, TypeError):
        raise Broken("the seal of this segment does not fit") from None
    if marked != LAST or start != len(body):
        raise Broken("this segment does not end where its writer ended it")
    return _unpadded(bytes(found))


def segment_key(key: PersonKey, person: PersonId) -> bytes:
    """Return the key (32 bytes) under which segments of one generation are sealed."""
    vault = hkdf(key.seed, info=b"homepost/vault/1")
    return hkdf(vault, info=framed("archive-segment", person.raw))


def _about(
    person: PersonId, *, seq: int, before: bytes, generation: int, device: DeviceKey
) -> bytes:
    """Return what each chunk is bound to: all that is known of the head before it is sealed."""
    places = (seq.to_bytes(8, "big"), before, generation.to_bytes(8, "big"))
    return framed("archive-chunk", person.raw, *places, device.raw)


def _padded(content: bytes) -> bytes:
    whole = len(content).to_bytes(_LENGTH_BYTES, "big") + content
    return whole.ljust(padded_length(max(MIN_CONTENT, len(whole))), b"\0")


def _unpadded(padded: bytes) -> bytes:
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    content = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if len(content) != length or any(padded[_LENGTH_BYTES + length :]):
        raise Broken("the padding of this segment does not fit")
    return content
