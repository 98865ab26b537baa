from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.keys.errors import PrekeyGone
from peer.keys.prekey_table import MAX_ONE_TIME
from peer.keys.sessions import SessionId
from tests.peer.keys.people import DAY, NOW, Person, person
from wire.ids import DeviceKey, PersonId
from wire.prekeys import PrekeyKind


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    yield ana
    ana.close()


def _keep(ana: Person, kind: PrekeyKind, id: int, *, offered: bool = True, at: float = 0) -> None:
    with ana.step():
        ana.vault.prekeys.keep(kind, id, secret=b"%032d" % id, offered=offered, now=NOW + at)


def test_a_secret_half_is_there_until_it_is_used(ana: Person) -> None:
    _keep(ana, PrekeyKind.ONE_TIME, 5)

    assert ana.vault.prekeys.secret(PrekeyKind.ONE_TIME, 5) == b"%032d" % 5
    with pytest.raises(PrekeyGone):
        ana.vault.prekeys.secret(PrekeyKind.SIGNED, 5)
    with ana.step():
        ana.vault.prekeys.use(PrekeyKind.ONE_TIME, 5)
    with pytest.raises(PrekeyGone):
        ana.vault.prekeys.secret(PrekeyKind.ONE_TIME, 5)


def test_a_retired_prekey_is_no_longer_current_and_still_there(ana: Person) -> None:
    _keep(ana, PrekeyKind.SIGNED, 1)
    _keep(ana, PrekeyKind.SIGNED, 2, at=7 * DAY)
    with ana.step():
        ana.vault.prekeys.retire(PrekeyKind.SIGNED, but=2, now=NOW + 7 * DAY)

    current = ana.vault.prekeys.current(PrekeyKind.SIGNED)
    assert current == (2, b"%032d" % 2, NOW + 7 * DAY)
    assert ana.vault.prekeys.secret(PrekeyKind.SIGNED, 1)


def test_what_the_gateway_has_not_confirmed_is_offered_again(ana: Person) -> None:
    _keep(ana, PrekeyKind.ONE_TIME, 1, offered=False)
    _keep(ana, PrekeyKind.ONE_TIME, 2, offered=False)
    with ana.step():
        ana.vault.prekeys.offered(PrekeyKind.ONE_TIME, 1)

    assert ana.vault.prekeys.unoffered(PrekeyKind.ONE_TIME) == [(2, b"%032d" % 2)]


def test_a_first_letter_is_remembered_until_its_prekey_dies(ana: Person) -> None:
    _keep(ana, PrekeyKind.SIGNED, 1)
    session = SessionId(b"s" * 16)
    with ana.step():
        ana.vault.prekeys.keep_first_letter(b"e" * 32, set_up=b"h", session=session, signed=1)
        ana.vault.prekeys.tidy(NOW)
    assert ana.vault.prekeys.first_letter(b"e" * 32) == (b"h", session)
    assert ana.vault.prekeys.first_letter(b"f" * 32) is None

    with ana.step():
        ana.vault.prekeys.retire(PrekeyKind.SIGNED, but=2, now=NOW)
        ana.vault.prekeys.tidy(NOW + 1)
    assert ana.vault.prekeys.first_letter(b"e" * 32) is None


def test_one_time_keys_are_kept_up_to_a_number(ana: Person) -> None:
    with ana.step():
        for id in range(MAX_ONE_TIME + 3):
            ana.vault.prekeys.keep(PrekeyKind.ONE_TIME, id, secret=b"s", offered=True, now=NOW + id)
        ana.vault.prekeys.tidy(NOW)

    with pytest.raises(PrekeyGone):
        ana.vault.prekeys.secret(PrekeyKind.ONE_TIME, 2)
    assert ana.vault.prekeys.secret(PrekeyKind.ONE_TIME, 3)


def test_kept_prekeys_of_a_contact_are_replaced_and_used_once(ana: Person) -> None:
    prekeys, ben, device = ana.vault.prekeys, PersonId(b"b" * 32), DeviceKey(b"d" * 32)
    with ana.step():
        prekeys.keep_bundle(ben, device, bundle=b"old", now=NOW)
        prekeys.keep_bundle(ben, device, bundle=b"new", now=NOW)
        assert prekeys.bundle(ben, device) == b"new"
        prekeys.use_bundle(ben, device)

    assert prekeys.bundle(ben, device) is None
