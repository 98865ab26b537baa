"""A household's day is the same for the same seed, and can be played at a gateway."""

from pathlib import Path

import pytest

from bench.box import open_box
from bench.household import DAY, HOUR, WEIGHTS, Household, furnish, make_day, play

SMALL = Household(seats=2, contacts=3, posts=8, looks=5)


def test_the_same_seed_gives_the_same_day() -> None:
    assert make_day(SMALL, seed=7) == make_day(SMALL, seed=7)
    assert make_day(SMALL, seed=7) != make_day(SMALL, seed=8)


def test_every_contact_posts_as_often_as_is_said_and_everybody_looks() -> None:
    day = make_day(SMALL, seed=1)

    assert len(day.posts) == 2 * 3 * 8
    assert {(one.seat, one.contact) for one in day.posts} == {
        (seat, contact) for seat in range(2) for contact in range(3)
    }
    assert len(day.looks) == 2 * 5
    assert all(one.until > one.at for one in day.looks)


def test_a_day_is_in_order_and_nobody_posts_while_all_sleep() -> None:
    day = make_day(Household(seats=1, contacts=20, posts=50), seed=1)
    times = [one.at for one in day.posts]

    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] < DAY
    asleep = [hour for hour, weight in enumerate(WEIGHTS) if weight == 0]
    assert not {int(one // HOUR) for one in times} & set(asleep)


def test_a_part_of_a_day_has_what_begins_in_it() -> None:
    day = make_day(SMALL, seed=1)
    morning, rest = day.part(0, 12 * HOUR), day.part(12 * HOUR, DAY)

    assert morning.posts + rest.posts == day.posts
    assert morning.looks + rest.looks == day.looks
    assert all(one.at < 12 * HOUR for one in morning.posts)


@pytest.mark.parametrize("fresh", [0.0, 1.0], ids=["kept connections", "new connections"])
async def test_a_played_day_is_stored_and_collected(tmp_path: Path, fresh: float) -> None:
    day = make_day(SMALL, seed=1)
    async with open_box(tmp_path) as box:
        await box.start()
        home = await furnish(box.data, box.address, SMALL)
        played = await play(day, home, speed=DAY / 5, fresh=fresh)

    assert (played.posts, played.stored, played.refused) == (48, 48, {})
    assert played.bytes_in == sum(one.size for one in day.posts)
    assert played.day_share == 1.0
    assert played.p50 <= played.p95 <= played.p99
    assert played.cpu > 0
