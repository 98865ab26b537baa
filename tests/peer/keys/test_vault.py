from collections.abc import Iterator
from pathlib import Path

import pytest

from peer import sqlite
from peer.keys.errors import Damaged
from peer.keys.person import BoxKey, PersonKey
from peer.keys.primitives import system_random
from peer.keys.vault import Vault
from tests.peer.keys.people import DAY, NOW, Person, connect, person, reopened
from wire.ids import PersonId

BEN = PersonId(b"b" * 32)


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    yield ana
    ana.close()


def _keep(ana: Person, transcript: bytes, *, after: float) -> None:
    with ana.step():
        ana.vault.keep_pair_secret(
            BEN, transcript=transcript, secret=transcript * 32, now=NOW + after
        )


def test_our_own_keys_come_back_after_a_restart(ana: Person) -> None:
    again = reopened(ana, ana.file).vault.identity()

    assert (again.person, again.person_key) == (ana.identity.person, ana.identity.person_key)
    assert again.device.key == ana.identity.device.key
    assert again.device.exchange == ana.identity.device.exchange


def test_the_seed_stays_until_it_is_wiped(ana: Person) -> None:
    assert len(ana.vault.seed() or b"") == 16
    with ana.step():
        ana.vault.wipe_seed()

    assert ana.vault.seed() is None
    assert ana.vault.identity().person == ana.identity.person


def test_the_newest_person_key_counts_and_older_ones_stay(ana: Person) -> None:
    renewed = PersonKey.generate(10, system_random)
    with ana.step():
        ana.vault.keep_person_key(renewed)

    assert ana.vault.identity().person_key == renewed
    assert ana.vault.person_keys() == (renewed, ana.identity.person_key)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    vault = Vault(connect(tmp_path / "empty.sqlite"))
    with vault.transaction():
        vault.create()

    with pytest.raises(Damaged, match="generation"):
        vault.identity()


def test_of_exchanges_that_crossed_the_lower_hash_counts(ana: Person) -> None:
    _keep(ana, b"\x02", after=0)
    _keep(ana, b"\x01", after=5)
    _keep(ana, b"\x03", after=9)

    assert [secret[:1] for secret in ana.vault.pair_secrets(BEN)] == [b"\x01", b"\x02", b"\x03"]


def test_of_exchanges_that_followed_each_other_the_newest_counts(ana: Person) -> None:
    _keep(ana, b"\x01", after=0)
    _keep(ana, b"\x02", after=DAY)
    _keep(ana, b"\x03", after=2 * DAY)

    assert [secret[:1] for secret in ana.vault.pair_secrets(BEN)] == [b"\x03", b"\x02", b"\x01"]


def test_the_same_exchange_twice_is_one(ana: Person) -> None:
    _keep(ana, b"\x01", after=0)
    _keep(ana, b"\x01", after=7)

    assert len(ana.vault.pair_secrets(BEN)) == 1


def test_box_keys_come_newest_first(ana: Person) -> None:
    boxes = [BoxKey(BEN, generation, bytes([generation]) * 32) for generation in (1, 3, 2)]
    with ana.step():
        for box in boxes:
            ana.vault.keep_box(box, now=NOW)

    assert [box.generation for box in ana.vault.boxes(BEN)] == [3, 2, 1]


def test_whoever_turns_her_box_key_with_every_letter_has_a_few_kept(ana: Person) -> None:
    with ana.step():
        for generation in range(1, 101):
            ana.vault.keep_box(BoxKey(BEN, generation, bytes(32)), now=NOW + generation)

    assert [box.generation for box in ana.vault.boxes(BEN)] == list(range(100, 92, -1))


def test_nothing_shared_with_a_forgotten_person_is_left_but_the_count(ana: Person) -> None:
    """Her devices know by number what was read: the next letter needs a new one."""
    _keep(ana, b"\x01", after=0)
    with ana.step():
        ana.vault.numbers.next_number(BEN)
        ana.vault.forget(BEN)

    assert ana.vault.numbers.last_number(BEN) == 1
    assert ana.vault.pair_secrets(BEN) == ()
    tables = ana.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    for (name,) in tables.fetchall():
        columns = [row[1] for row in ana.connection.execute(f"PRAGMA table_info({name})")]
        if "person" in columns:
            found = ana.connection.execute(
                f"SELECT count(*) FROM {name} WHERE person = ?",  # noqa: S608  # names of the file
                (BEN.raw,),
            ).fetchone()
            assert found == (0,), name


def test_a_failed_transaction_leaves_nothing(ana: Person) -> None:
    before = ana.state()

    def fail() -> None:
        with ana.step():
            ana.vault.wipe_seed()
            raise KeyError("halfway")

    with pytest.raises(KeyError):
        fail()
    assert ana.state() == before
    assert not ana.connection.in_transaction


def test_a_failed_part_leaves_the_rest_of_its_transaction(ana: Person) -> None:
    def fail() -> None:
        with ana.vault.all_or_nothing():
            ana.vault.wipe_seed()
            raise KeyError("halfway")

    with ana.step():
        ana.vault.numbers.next_number(BEN)
        with pytest.raises(KeyError):
            fail()

    assert ana.vault.seed() is not None
    assert ana.vault.numbers.last_number(BEN) == 1


def test_nothing_changes_outside_a_transaction(ana: Person) -> None:
    with pytest.raises(RuntimeError):
        ana.vault.wipe_seed()
    with pytest.raises(RuntimeError):
        ana.vault.numbers.next_number(BEN)


def test_a_connection_with_transactions_of_its_own_is_refused() -> None:
    connection = sqlite.connect(":memory:")

    with pytest.raises(ValueError, match="transactions"):
        Vault(connection)
    connection.close()
