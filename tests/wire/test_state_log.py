"""Batches, snapshots and vectors have one spelling, and are whose they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from wire.codec import encode
from wire.errors import Malformed, NotSigned, WireError
from wire.ids import DeviceId, DeviceKey
from wire.state_log import (
    MAX_BATCH,
    MAX_SEQ,
    MAX_VECTOR,
    Batch,
    Head,
    LogAnswer,
    Snapshot,
    SnapshotHead,
    covers,
    decode_ask,
    decode_batches,
    encode_ask,
    encode_batches,
    vector_from,
)

KEY = SigningKey(b"k" * 32)
OTHER = SigningKey(b"o" * 32)
DEVICE = DeviceKey(bytes(KEY.verify_key))
IDS = st.builds(DeviceId, st.binary(min_size=16, max_size=16))
VECTORS = st.dictionaries(IDS, st.integers(0, MAX_SEQ), max_size=8)
SEALED = st.binary(max_size=300)


def batch(*, seq: int = 7, sealed: bytes = b"sealed") -> Batch:
    return Batch.sign(KEY, device=DEVICE.device, seq=seq, generation=2, sealed=sealed)


def snapshot(vector: dict[DeviceId, int]) -> Snapshot:
    return Snapshot.sign(KEY, device=DEVICE.device, generation=2, vector=vector, sealed=b"sealed")


@given(st.integers(1, MAX_SEQ), SEALED)
def test_a_batch_is_read_as_it_was_written(seq: int, sealed: bytes) -> None:
    one = batch(seq=seq, sealed=sealed)

    assert Batch.decode(one.encode()) == one
    one.verify(DEVICE)


@given(VECTORS)
def test_a_snapshot_is_read_as_it_was_written(vector: dict[DeviceId, int]) -> None:
    one = snapshot(vector)

    assert Snapshot.decode(one.encode()) == one
    one.verify(DEVICE)


def test_a_batch_of_another_device_number_or_text_is_not_signed() -> None:
    one = batch()
    other = DeviceKey(bytes(OTHER.verify_key))
    changed = (
        Batch(other.device, one.seq, one.generation, one.sealed, one.signature),
        Batch(one.device, 8, one.generation, one.sealed, one.signature),
        Batch(one.device, one.seq, 3, one.sealed, one.signature),
        Batch(one.device, one.seq, one.generation, b"other", one.signature),
    )
    for wrong in changed:
        with pytest.raises(NotSigned):
            wrong.verify(DEVICE)
    with pytest.raises(NotSigned):
        one.verify(other)


def test_no_batch_passes_for_a_snapshot() -> None:
    one = batch()
    forged = Snapshot(one.device, one.generation, {}, one.sealed, one.signature)
    with pytest.raises(NotSigned):
        forged.verify(DEVICE)
    with pytest.raises(Malformed):
        Snapshot.decode(one.encode())


@given(VECTORS, VECTORS)
def test_a_vector_covers_what_it_has_come_past(
    one: dict[DeviceId, int], other: dict[DeviceId, int]
) -> None:
    both = {device: max(one.get(device, 0), other.get(device, 0)) for device in {*one, *other}}

    assert covers(both, one)
    assert covers(both, other)
    assert covers(one, other) is (both == {**one, **{k: v for k, v in both.items() if v == 0}})


def test_a_vector_stands_in_order_each_device_once() -> None:
    low, high = b"a" * 16, b"b" * 16

    assert vector_from([[low, 1], [high, 2]]) == {DeviceId(low): 1, DeviceId(high): 2}
    for wrong in (
        [[high, 1], [low, 2]],
        [[low, 1], [low, 2]],
        [[low, -1]],
        [[low, True]],
        [[low]],
        7,
        [[bytes([0, one]) * 8, 1] for one in range(MAX_VECTOR + 1)],
    ):
        with pytest.raises(Malformed):
            vector_from(wrong)  # type: ignore[arg-type]  # that is what is tested


@given(VECTORS, st.lists(SEALED, max_size=5), st.booleans())
def test_questions_and_answers_are_read_as_they_were_written(
    vector: dict[DeviceId, int], batches: list[bytes], more: bool
) -> None:
    heads = tuple(Head(device, seq, seq // 2) for device, seq in vector.items())
    snapshots = (SnapshotHead(DEVICE.device, 3, vector),)
    answer = LogAnswer(heads, snapshots, tuple(batches), more)

    assert decode_ask(encode_ask(vector)) == vector
    assert LogAnswer.decode(answer.encode()) == answer
    assert decode_batches(encode_batches(batches)) == tuple(batches)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    for read in (Batch.decode, Snapshot.decode, LogAnswer.decode, decode_ask, decode_batches):
        with pytest.raises(WireError):
            read(data)


@pytest.mark.parametrize(
    "value",
    [
        [2, b"d" * 16, 1, 1, b"", b"s" * 64],
        [True, b"d" * 16, 1, 1, b"", b"s" * 64],
        [1, b"d" * 15, 1, 1, b"", b"s" * 64],
        [1, b"d" * 16, 0, 1, b"", b"s" * 64],
        [1, b"d" * 16, 1, 0, b"", b"s" * 64],
        [1, b"d" * 16, 1, 1, b"", b"s" * 63],
        [1, b"d" * 16, 1, 1, b"x" * MAX_BATCH, b"s" * 64],
        [1, b"d" * 16, 1, 1, b""],
    ],
)
def test_what_is_no_batch_is_refused(value: list[object]) -> None:
    with pytest.raises(Malformed):
        Batch.decode(encode(value))  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("field", [1, 2, 3])
def test_an_answer_with_something_else_in_a_list_is_refused(field: int) -> None:
    value = {0: 1, 1: [], 2: [], 3: [], 4: False}
    with pytest.raises(Malformed):
        LogAnswer.decode(encode({**value, field: [7]}))  # type: ignore[dict-item]
