"""A backup opens with its secret, whole, and in no other way."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backup import (
    CHUNK,
    BackupUnusable,
    CutShort,
    DamagedBackup,
    NewerBackup,
    NoBackup,
    WrongSecret,
    new_secret,
    seal,
    unseal,
)

PATH = Path("/media/stick/box.backup")
SECRET = new_secret()
CONTENT = bytes(range(256)) * (3 * CHUNK // 256) + b"end"
HEAD = 16 + 1 + 16 + 24
CHUNK_SEALED = CHUNK + 17


def sealed(*pieces: bytes, secret: str = SECRET) -> bytes:
    out = io.BytesIO()
    seal(pieces, out, secret=secret)
    return out.getvalue()


def opened(data: bytes, *, secret: str = SECRET) -> bytes:
    return b"".join(unseal(io.BytesIO(data), path=PATH, secret=secret))


SEALED = sealed(CONTENT)


def test_what_was_sealed_is_opened_again() -> None:
    assert opened(SEALED) == CONTENT


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_any_length_is_sealed_in_whole_chunks_and_a_last_one(size: int) -> None:
    data = sealed(b"x" * size)

    assert opened(data) == b"x" * size
    chunks = max(1, -(-size // CHUNK))
    assert len(data) == HEAD + size + 17 * chunks


def test_the_pieces_in_which_it_came_leave_no_trace() -> None:
    assert opened(sealed(CONTENT[:10], CONTENT[10 : CHUNK * 2], CONTENT[CHUNK * 2 :])) == CONTENT


def test_nothing_of_the_content_can_be_seen_and_no_two_backups_are_alike() -> None:
    assert CONTENT[:32] not in SEALED
    assert sealed(CONTENT)[16:] != SEALED[16:]


def test_a_secret_is_understood_however_it_is_written() -> None:
    assert re.fullmatch(r"([A-Z2-7]{4}-){5}[A-Z2-7]{4}", SECRET)
    for written in (SECRET.lower(), SECRET.replace("-", ""), f" {SECRET.replace('-', ' ')}\n"):
        assert opened(SEALED, secret=written) == CONTENT


def test_a_passphrase_is_taken_as_it_is_but_for_how_its_accents_are_made() -> None:
    composed, apart, small = (
        "Gr\u00fc\u00dfe aus dem Flur",
        "Gru\u0308\u00dfe aus dem Flur ",
        "gr\u00fc\u00dfe aus dem flur",
    )
    data = sealed(b"x", secret=composed)

    assert opened(data, secret=apart) == b"x"
    with pytest.raises(WrongSecret):
        opened(data, secret=small)


def test_another_secret_is_told_from_a_damaged_file() -> None:
    with pytest.raises(WrongSecret, match="does not open with this secret"):
        opened(SEALED, secret=new_secret())


def damaged(at: int) -> bytes:
    return SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NoBackup),
        (b"Dear diary", NoBackup),
        (damaged(0), NoBackup),
        (damaged(16), NewerBackup),
        (damaged(17), WrongSecret),  # another salt is another key
        (damaged(40), WrongSecret),
        (damaged(HEAD), WrongSecret),
        (damaged(HEAD + CHUNK_SEALED), DamagedBackup),
        (damaged(HEAD + 2 * CHUNK_SEALED - 1), DamagedBackup),
        (damaged(len(SEALED) - 1), CutShort),
        (SEALED[:20], CutShort),
        (SEALED[:HEAD], CutShort),
        (SEALED[:-1], CutShort),
        (SEALED[: HEAD + 2 * CHUNK_SEALED], CutShort),
        (SEALED + b"x", CutShort),
        (SEALED + SEALED[HEAD:], DamagedBackup),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else f"{len(one)} bytes",
)
def test_each_thing_that_is_wrong_has_its_sentence(
    data: bytes, error: type[BackupUnusable]
) -> None:
    with pytest.raises(error) as raised:
        opened(data)

    assert str(PATH) in str(raised.value)
    assert re.search(r"Give|Install|Type|Copy", str(raised.value))


def test_chunks_in_another_order_are_refused() -> None:
    first, second = (SEALED[HEAD + n * CHUNK_SEALED :][:CHUNK_SEALED] for n in (1, 2))
    swapped = SEALED.replace(first + second, second + first)

    with pytest.raises(DamagedBackup):
        opened(swapped)


def test_a_chunk_left_out_is_refused() -> None:
    missing = SEALED[: HEAD + CHUNK_SEALED] + SEALED[HEAD + 2 * CHUNK_SEALED :]

    with pytest.raises(DamagedBackup):
        opened(missing)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed_unnoticed(at: int, by: int) -> None:
    changed = SEALED[:at] + bytes([SEALED[at] ^ by]) + SEALED[at + 1 :]

    with pytest.raises(BackupUnusable):
        opened(changed)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=4 * HEAD))
def test_any_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(BackupUnusable):
        opened(b"homepost backup\n\x01" + data)
