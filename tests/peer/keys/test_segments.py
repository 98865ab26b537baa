"""A segment opens with its generation's key, at its place, whole, and in no other way."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.errors import Broken, GenerationUnknown
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.keys.segments import CHUNK, open_segment, seal_segment
from wire.archive import Head, Segment, SignedHead, body_hash
from wire.ids import PersonId
from wire.padding import padded_length

STREAM_BYTES, MORE_BYTES = 24, 17
"""Of libsodium's secretstream: what a stream begins with, and what each chunk is longer."""
ME = Identity(PersonId(b"p" * 32), Device.generate(system_random), PersonKey(1, b"s" * 32))
KEYS = (ME.person_key,)


def forged(segment: Segment, body: bytes, **changes: object) -> Segment:
    """Return a segment with another body or place, its head signed again by the same device."""
    head: Head = replace(segment.head, body_hash=body_hash(body), body_size=len(body), **changes)  # type: ignore[arg-type]  # names of fields of Head
    return Segment(SignedHead.sign(head, ME.device.signing), body)


@given(st.binary(max_size=3 * CHUNK))
@settings(max_examples=30, deadline=None)
def test_what_was_sealed_comes_back(content: bytes) -> None:
    assert open_segment(seal_segment(content, identity=ME, on=None), KEYS) == content


@pytest.mark.parametrize("size", [0, 1, 252, 253, CHUNK - 4, CHUNK, 5 * CHUNK])
def test_the_size_of_a_body_says_no_more_than_padding_lets_it(size: int) -> None:
    """G3: what somebody else wrote into it compresses nothing."""
    padded = padded_length(max(256, size + 4))
    chunks = -(-padded // CHUNK)

    for content in (bytes(size), system_random(size)):
        body = seal_segment(content, identity=ME, on=None).body
        assert len(body) == STREAM_BYTES + padded + chunks * MORE_BYTES


def test_each_names_the_one_before_it() -> None:
    first = seal_segment(b"1", identity=ME, on=None)
    second = seal_segment(b"2", identity=ME, on=first.head)

    assert (second.head.seq, second.head.before) == (2, first.head.hash)
    assert (first.head.person, first.head.device) == (ME.person, ME.device.key)


def test_the_same_content_twice_is_sealed_under_two_key_streams() -> None:
    bodies = {seal_segment(b"same", identity=ME, on=None).body for _ in range(50)}

    assert len({one[:STREAM_BYTES] for one in bodies}) == 50


def test_one_of_a_generation_that_is_not_here_says_so() -> None:
    segment = seal_segment(
        b"new", identity=replace(ME, person_key=PersonKey(2, b"t" * 32)), on=None
    )

    with pytest.raises(GenerationUnknown):
        open_segment(segment, KEYS)


def test_of_two_keys_of_one_generation_either_may_have_sealed() -> None:
    rival = PersonKey(1, b"r" * 32)
    segment = seal_segment(b"content", identity=ME, on=None)

    assert open_segment(segment, (rival, ME.person_key)) == b"content"
    assert open_segment(segment, (ME.person_key, rival)) == b"content"
    with pytest.raises(Broken):
        open_segment(segment, (rival,))


@pytest.mark.parametrize(
    "changes",
    [{"seq": 3}, {"before": b"b" * 32}, {"generation": 2}, {"person": PersonId(b"q" * 32)}],
)
def test_a_body_under_another_head_does_not_open(changes: dict[str, object]) -> None:
    first = seal_segment(b"1", identity=ME, on=None)
    segment = seal_segment(b"2", identity=ME, on=first.head)

    with pytest.raises(Broken):
        open_segment(
            forged(segment, segment.body, **changes), (*KEYS, PersonKey(2, ME.person_key.seed))
        )


def test_chunks_that_were_cut_off_swapped_doubled_or_changed_are_noticed() -> None:
    segment = seal_segment(system_random(4 * CHUNK), identity=ME, on=None)
    size = CHUNK + MORE_BYTES
    head, rest = segment.body[:STREAM_BYTES], segment.body[STREAM_BYTES:]
    chunks = [rest[at : at + size] for at in range(0, len(rest), size)]
    turned = bytes([chunks[0][0] ^ 1]) + chunks[0][1:]
    others: list[list[bytes]] = [
        chunks[:-1],
        chunks[:1],
        [],
        [chunks[1], chunks[0], *chunks[2:]],
        [chunks[0], *chunks],
        [*chunks, chunks[0]],
        [turned, *chunks[1:]],
    ]

    for one in others:
        with pytest.raises(Broken):
            open_segment(forged(segment, head + b"".join(one)), KEYS)
