"""Logging in, cards and prekeys over real connections."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.served import Handset, Served, open_served, spelled
from tests.gateway.sync.people import Phone
from wire.auth import BEARER_SECONDS, Joining, Login
from wire.codec import decode
from wire.fields import Fields
from wire.lanes import Lane
from wire.person_keys import PUT_LIMIT, decode_records, encode_put
from wire.prekeys import UPLOAD_LIMIT, Bundles, PrekeyKind, decode_bundles, encode_upload


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def leave_prekeys(one: Handset, *, one_time: int, first: int = 0) -> None:
    """Leave prekeys at the gateway."""
    found = one.phone.prekeys(one_time=one_time, kem=one_time, first=first)
    answer = await one.ask("POST", "/v1/prekeys", encode_upload(tuple(found)))
    assert answer.status == 204, answer


async def fetch(served: Served, lane: Lane) -> Bundles:
    """Get bundles as a holder of a lane."""
    anna = await served.visitor()
    opening = await anna.opening(lane, "prekeys")
    answer = await anna.ask("POST", "/v1/prekeys/fetch", headers=opening)
    assert answer.status == 200, answer
    return decode_bundles(answer.data)


async def test_a_challenge_is_thirty_two_bytes_and_never_the_same(served: Served) -> None:
    anna = await served.visitor()

    given = [await anna.nonce() for _ in range(5)]

    assert [len(one) for one in given] == [32] * 5
    assert len(set(given)) == 5


async def test_a_login_is_answered_with_a_bearer_and_how_long_it_lasts(served: Served) -> None:
    answer = await (await served.enrolled()).login()

    fields = Fields.read(answer.data, limit=100, what="bearer")
    fields.version(0, known=1)
    assert len(fields.raw(1)) == 32
    assert fields.integer(2, low=1, high=1 << 20) == BEARER_SECONDS
    fields.end()


async def test_a_card_is_kept_and_given_back(served: Served) -> None:
    bob = await served.enrolled()
    signed = bob.person.device_statement(bob.phone, bob.phone)

    for _ in range(2):  # it may be repeated
        assert (await bob.ask("POST", "/v1/card", signed.encode())).status == 204
    kept = decode((await bob.ask("GET", "/v1/card")).data, limit=1 << 20)

    assert kept == [*bob.person.card.chain, signed.encode()]


async def test_a_device_that_the_card_lists_joins_without_a_code(served: Served) -> None:
    bob, tablet = await served.enrolled(), Phone()
    signed = bob.person.device_statement(bob.phone, bob.phone, tablet)
    anna = await served.visitor()
    nonces = [await anna.nonce() for _ in range(2)]
    joinings = [
        Joining.sign(tablet.signing, person=bob.person.id, channel=served.channel, nonce=one)
        for one in nonces
    ]

    before = await anna.ask("POST", "/v1/join", joinings[0].encode())
    assert (before.status, before.code) == (401, "login-refused")
    await bob.ask("POST", "/v1/card", signed.encode())
    answer = await anna.ask("POST", "/v1/join", joinings[1].encode())

    assert answer.status == 200
    fields = Fields.read(answer.data, limit=100, what="bearer")
    assert len(fields.raw(1)) == 32
    again = await anna.ask("POST", "/v1/join", joinings[1].encode())
    assert (again.status, again.code) == (401, "challenge-stale")


async def test_a_statement_of_somebody_else_is_refused(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    signed = eve.person.device_statement(eve.phone, eve.phone)

    answer = await bob.ask("POST", "/v1/card", signed.encode())

    assert (answer.status, answer.code) == (409, "card-rejected")


async def test_a_bundle_comes_with_the_card_that_lists_its_device(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await leave_prekeys(bob, one_time=2)

    found = await fetch(served, lane)

    [bundle] = found.bundles
    bundle.verify()
    assert bundle.device == bob.phone.key
    assert bundle.one_time is not None
    assert found.chain == bob.person.card.chain


async def test_a_device_is_told_how_many_prekeys_are_left(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await leave_prekeys(bob, one_time=5)
    await fetch(served, lane)

    counts = decode((await bob.ask("GET", "/v1/prekeys")).data, limit=1000)

    assert counts == {0: 1, 1: {PrekeyKind.SIGNED: 1, PrekeyKind.LAST_RESORT: 1,
                                PrekeyKind.ONE_TIME: 4, PrekeyKind.ONE_TIME_KEM: 4}}  # fmt: skip


async def test_a_lane_is_given_another_bundle_when_its_owner_says_so(served: Served) -> None:
    bob = await served.enrolled()
    lane = await bob.lane()
    await leave_prekeys(bob, one_time=5)
    await fetch(served, lane)
    anna = await served.visitor()
    opening = await anna.opening(lane, "prekeys")
    refused = await anna.ask("POST", "/v1/prekeys/fetch", headers=opening)
    assert (refused.status, refused.code) == (429, "too-many-requests")

    assert (await bob.ask("POST", "/v1/prekeys/reset", lane.id.raw)).status == 204
    assert len((await fetch(served, lane)).bundles) == 1


async def test_a_seat_without_prekeys_says_so(served: Served) -> None:
    lane = await (await served.enrolled()).lane()
    anna = await served.visitor()

    answer = await anna.ask(
        "POST", "/v1/prekeys/fetch", headers=await anna.opening(lane, "prekeys")
    )

    assert (answer.status, answer.code) == (409, "no-prekeys")


async def test_prekeys_of_another_device_are_refused(served: Served) -> None:
    bob, eve = await served.enrolled(), await served.enrolled()
    stolen = encode_upload(tuple(bob.phone.prekeys()))

    answer = await eve.ask("POST", "/v1/prekeys", stolen)

    assert (answer.status, answer.code) == (400, "not-signed")


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/v1/prekeys", UPLOAD_LIMIT),
        ("POST", "/v1/prekeys/reset", 16),
        ("POST", "/v1/card", 4096),
        ("PUT", "/v1/person-key", PUT_LIMIT),
    ],
)
async def test_more_than_a_place_allows_is_refused(
    served: Served, method: str, path: str, limit: int
) -> None:
    answer = await (await served.enrolled()).ask(method, path, bytes(limit + 1))

    assert (answer.status, answer.code) == (413, "too-large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/prekeys"),
        ("GET", "/v1/prekeys"),
        ("POST", "/v1/prekeys/reset"),
        ("POST", "/v1/card"),
        ("GET", "/v1/card"),
        ("PUT", "/v1/person-key"),
        ("GET", "/v1/person-keys"),
    ],
)
async def test_what_is_a_seats_own_needs_a_login(served: Served, method: str, path: str) -> None:
    answer = await (await served.visitor()).ask(method, path)

    assert (answer.status, answer.code) == (401, "login-needed")


async def test_the_record_of_a_person_key_is_kept_and_given_back(served: Served) -> None:
    bob = await served.enrolled()
    record = bob.person.record(bob.phone, bob.phone)
    assert decode_records((await bob.ask("GET", "/v1/person-keys")).data) == ()

    for _ in range(2):  # it may be repeated
        assert (await bob.ask("PUT", "/v1/person-key", encode_put(record))).status == 204

    assert decode_records((await bob.ask("GET", "/v1/person-keys")).data) == (record,)


async def test_a_statement_that_comes_with_a_record_ends_what_it_revokes(served: Served) -> None:
    bob, old = await served.enrolled(), Phone()
    added = bob.person.device_statement(bob.phone, bob.phone, old)
    bob.person.take(added)
    bob.person.take(gone := bob.person.device_statement(bob.phone, bob.phone))
    record = bob.person.record(bob.phone, bob.phone)
    put = encode_put(record, statements=[added.encode(), gone.encode()])

    assert (await bob.ask("PUT", "/v1/person-key", put)).status == 204

    kept = decode((await bob.ask("GET", "/v1/card")).data, limit=1 << 20)
    assert kept == list(bob.person.card.chain)


async def test_a_record_on_another_card_is_refused_with_its_statement(served: Served) -> None:
    bob = await served.enrolled()
    record = bob.person.record(bob.phone, bob.phone)
    signed = bob.person.device_statement(bob.phone, bob.phone)
    put = encode_put(record, statements=[signed.encode()])

    answer = await bob.ask("PUT", "/v1/person-key", put)

    assert (answer.status, answer.code) == (409, "other-card")
    kept = decode((await bob.ask("GET", "/v1/card")).data, limit=1 << 20)
    assert kept == list(bob.person.card.chain)


async def test_a_record_by_a_device_that_is_on_no_card_is_refused(served: Served) -> None:
    bob = await served.enrolled()
    record = bob.person.record(Phone(), bob.phone)

    answer = await bob.ask("PUT", "/v1/person-key", encode_put(record))

    assert (answer.status, answer.code) == (409, "other-card")


async def test_a_login_that_was_caught_is_of_no_use(served: Served) -> None:
    bob = await served.enrolled()
    nonce = await bob.visitor.nonce()
    caught = Login.sign(bob.phone.signing, channel=served.channel, nonce=nonce).encode()
    eve = await served.visitor()

    assert (await bob.visitor.ask("POST", "/v1/login", caught)).status == 200
    answer = await eve.ask("POST", "/v1/login", caught)

    assert (answer.status, answer.code) == (401, "challenge-stale")
    assert spelled(caught) not in str(answer)
