from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.keys.errors import Damaged
from peer.keys.ratchet import MAX_SKIPPED, Place, SkippedKey
from peer.keys.sessions import Session, SessionId
from tests.peer.keys.people import NOW, Person, person
from wire.ids import DeviceKey, PersonId

BEN, DEVICE = PersonId(b"b" * 32), DeviceKey(b"d" * 32)
SESSION = Session(
    SessionId(b"s" * 16), BEN, DEVICE, b"t" * 32, b"set-up", b"state", made=NOW, unanswered=1
)


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    with ana.step():
        ana.vault.sessions.keep(SESSION)
    yield ana
    ana.close()


def _skipped(first: int, count: int) -> tuple[SkippedKey, ...]:
    return tuple(
        SkippedKey(Place(b"c" * 32, number), b"k" * 32) for number in range(first, first + count)
    )


def test_a_session_comes_back_as_it_was_kept(ana: Person) -> None:
    changed = replace(SESSION, set_up=None, state=b"next", heard=NOW + 1, unanswered=0, unsaid=1)

    assert ana.vault.sessions.find(SESSION.id) == SESSION
    with ana.step():
        ana.vault.sessions.keep(changed)
    assert ana.vault.sessions.of_device(BEN, DEVICE) == [changed]
    assert ana.vault.sessions.find(SessionId(bytes(16))) is None


def test_closing_is_for_one_device(ana: Person) -> None:
    other = replace(SESSION, id=SessionId(b"o" * 16), device=DeviceKey(bytes(32)))
    with ana.step():
        ana.vault.sessions.keep(other)
        ana.vault.sessions.close(BEN, DEVICE)

    assert ana.vault.sessions.find(SESSION.id) == replace(SESSION, closed=True)
    assert ana.vault.sessions.find(other.id) == other


def test_the_newest_thousand_skipped_keys_are_kept(ana: Person) -> None:
    sessions = ana.vault.sessions
    with ana.step():
        sessions.keep_skipped(SESSION.id, _skipped(0, 600), now=NOW)
        sessions.keep_skipped(SESSION.id, _skipped(600, 600), now=NOW)
    count = ana.connection.execute("SELECT count(*) FROM skipped_keys").fetchone()

    assert count == (MAX_SKIPPED,)
    assert sessions.skipped(SESSION.id, Place(b"c" * 32, 199)) is None
    assert sessions.skipped(SESSION.id, Place(b"c" * 32, 200)) is not None


def test_a_used_key_is_gone(ana: Person) -> None:
    [key] = _skipped(7, 1)
    with ana.step():
        ana.vault.sessions.keep_skipped(SESSION.id, (key,), now=NOW)
        assert ana.vault.sessions.skipped(SESSION.id, key.place) == key
        ana.vault.sessions.use_skipped(SESSION.id, key.place)

    assert ana.vault.sessions.skipped(SESSION.id, key.place) is None


def test_skipped_keys_go_with_their_session(ana: Person) -> None:
    with ana.step():
        ana.vault.sessions.keep_skipped(SESSION.id, _skipped(0, 3), now=NOW)
        ana.vault.sessions.tidy(NOW + 1)

    assert ana.connection.execute("SELECT count(*) FROM skipped_keys").fetchone() == (0,)


def test_a_damaged_row_is_named(ana: Person) -> None:
    ana.connection.execute("UPDATE sessions SET transcript = zeroblob(0), set_up = 'text'"
                           " WHERE 0")  # fmt: skip
    ana.connection.execute("ALTER TABLE sessions ADD COLUMN surplus INTEGER")

    with pytest.raises(Damaged):
        ana.vault.sessions.find(SESSION.id)
