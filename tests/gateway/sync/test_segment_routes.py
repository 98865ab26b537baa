"""The archive over real connections: for the seat's own devices, and no way to delete."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.served import Handset, Served, open_served
from wire.archive import MAX_SEGMENT, Extent, Segment, decode_range


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def append(handset: Handset, segment: Segment) -> object:
    answer = await handset.ask("POST", "/v1/archive", segment.encode())
    return answer.code if answer.status != 204 else None


async def test_what_one_device_appends_all_of_the_seat_can_read(served: Served) -> None:
    bob = await served.enrolled()
    tablet = await served.enrolled_beside(bob)
    first = bob.phone.segment(bob.person.id)
    second = tablet.phone.segment(bob.person.id, on=first)

    assert [await append(bob, first), await append(tablet, second)] == [None, None]
    extent = Extent.decode((await bob.ask("GET", "/v1/archive")).data)
    assert (extent.first, extent.newest) == (1, second.signed)
    answer = await tablet.ask("GET", "/v1/archive/segments?upto=2")
    assert decode_range(answer.data) == (second.encode(), first.encode())
    assert (await bob.ask("GET", "/v1/archive/segments?upto=2&from=2")).data != answer.data
    assert (await bob.ask("GET", "/v1/archive/1")).data == first.encode()


async def test_another_seats_archive_is_not_to_be_seen(served: Served) -> None:
    bob, anna = await served.enrolled(), await served.enrolled()
    await append(bob, bob.phone.segment(bob.person.id))

    assert Extent.decode((await anna.ask("GET", "/v1/archive")).data).newest is None
    assert (await anna.ask("GET", "/v1/archive/1")).code == "no-segment"
    assert await append(anna, bob.phone.segment(bob.person.id)) == "not-signed"
    assert (await (await served.visitor()).ask("GET", "/v1/archive")).code == "login-needed"


async def test_the_slower_of_two_devices_is_told_the_head(served: Served) -> None:
    bob = await served.enrolled()
    first = bob.phone.segment(bob.person.id)
    await append(bob, first)
    answer = await bob.ask(
        "POST", "/v1/archive", bob.phone.segment(bob.person.id, body=b"other").encode()
    )

    assert answer.status == 409
    assert answer.json == {"error": "archive-moved", "seq": 1, "hash": first.head.hash.hex()}


async def test_nothing_can_be_deleted(served: Served) -> None:
    bob = await served.enrolled()
    await append(bob, bob.phone.segment(bob.person.id))

    for path in ("/v1/archive", "/v1/archive/1", "/v1/archive/segments"):
        assert (await bob.ask("DELETE", path)).code == "method-not-allowed"
        assert (await bob.ask("PUT", path)).code == "method-not-allowed"
    assert (await bob.ask("GET", "/v1/archive/1")).status == 200


@pytest.mark.parametrize("path", ["0", "-1", "x", "segments?upto=0", "segments?upto=2&from=x"])
async def test_a_number_that_is_none_is_malformed(served: Served, path: str) -> None:
    bob = await served.enrolled()

    assert (await bob.ask("GET", f"/v1/archive/{path}")).code == "malformed"


async def test_what_is_longer_than_any_segment_is_not_read(served: Served) -> None:
    bob = await served.enrolled()
    answer = await bob.ask("POST", "/v1/archive", bytes(MAX_SEGMENT + 1))

    assert answer.code == "too-large"
