from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from peer.keys.minting import STOCKS, confirm, mint, private_bundle
from tests.peer.keys.people import DAY, Person, person
from wire.prekeys import MAX_UPLOAD, UPLOAD_LIMIT, Prekey, PrekeyKind, encode_upload


@pytest.fixture(name="ana")
def _ana(tmp_path: Path) -> Iterator[Person]:
    ana = person(tmp_path, "ana")
    yield ana
    ana.close()


def _mint(ana: Person, counts: Mapping[PrekeyKind, int] | None = None) -> tuple[Prekey, ...]:
    with ana.step():
        return mint(ana.vault, ana.identity, counts=counts or {}, now=ana.now)


def _upload(ana: Person, counts: Mapping[PrekeyKind, int] | None = None) -> tuple[Prekey, ...]:
    prekeys = _mint(ana, counts)
    with ana.step():
        confirm(ana.vault, prekeys)
    return prekeys


def _count(prekeys: tuple[Prekey, ...], kind: PrekeyKind) -> int:
    return sum(one.kind is kind for one in prekeys)


FULL = {
    PrekeyKind.SIGNED: 1,
    PrekeyKind.LAST_RESORT: 1,
    PrekeyKind.ONE_TIME: 100,
    PrekeyKind.ONE_TIME_KEM: 20,
}


def test_the_first_upload_is_everything_and_fits(ana: Person) -> None:
    prekeys = _mint(ana)

    assert {kind: _count(prekeys, kind) for kind in PrekeyKind} == FULL
    assert len(prekeys) <= MAX_UPLOAD
    assert len(encode_upload(prekeys)) <= UPLOAD_LIMIT
    for one in prekeys:
        one.verify(ana.identity.device.key)
    assert len({(one.kind, one.id) for one in prekeys}) == len(prekeys)


def test_nothing_is_made_while_all_is_there(ana: Person) -> None:
    _upload(ana)

    assert _mint(ana, FULL) == ()
    assert _mint(ana, {**FULL, PrekeyKind.ONE_TIME: 50, PrekeyKind.ONE_TIME_KEM: 10}) == ()


def test_a_refill_has_a_size_that_does_not_tell_how_many_went(ana: Person) -> None:
    _upload(ana)
    sizes = {
        _count(_upload(ana, {**FULL, PrekeyKind.ONE_TIME: 49}), PrekeyKind.ONE_TIME)
        for _ in range(12)
    }

    assert len(sizes) > 3
    assert min(sizes) >= 51 - STOCKS[PrekeyKind.ONE_TIME].spread
    assert max(sizes) <= 51


def test_an_upload_whose_answer_was_lost_is_offered_again(ana: Person) -> None:
    lost = _mint(ana)

    assert _mint(ana) == lost


def test_lasting_keys_are_renewed_each_week_and_kept(ana: Person) -> None:
    before = {one.kind: one.id for one in _upload(ana)}
    ana.now += 7 * DAY
    renewed = _upload(ana, FULL)

    assert {one.kind for one in renewed} == {PrekeyKind.SIGNED, PrekeyKind.LAST_RESORT}
    for one in renewed:
        assert one.id != before[one.kind]
        assert ana.vault.prekeys.secret(one.kind, before[one.kind])


def test_a_gateway_that_lost_them_gets_the_same_lasting_keys_again(ana: Person) -> None:
    uploaded = {one.kind: one for one in _upload(ana)}
    again = {one.kind: one for one in _upload(ana)}

    for kind in (PrekeyKind.SIGNED, PrekeyKind.LAST_RESORT):
        assert again[kind] == uploaded[kind]


def test_a_private_bundle_shares_no_one_time_key_with_the_pool(ana: Person) -> None:
    with ana.step():
        private = private_bundle(ana.vault, ana.identity, now=ana.now)
        another = private_bundle(ana.vault, ana.identity, now=ana.now)
    private.verify()
    pool = {one.public for one in _upload(ana)}

    assert private.one_time is not None
    assert another.one_time is not None
    assert private.signed.public in pool
    assert {private.one_time.public, private.kem.public}.isdisjoint(pool)
    assert private.one_time.public != another.one_time.public


def test_ids_only_rise_also_after_keys_were_used(ana: Person) -> None:
    first = _upload(ana)
    with ana.step():
        for one in first:
            if one.kind is PrekeyKind.ONE_TIME:
                ana.vault.prekeys.use(one.kind, one.id)
    second = _upload(ana)

    for kind in STOCKS:
        assert max(one.id for one in first if one.kind is kind) < min(
            one.id for one in second if one.kind is kind
        )
