"""Friends are chosen, keep shares, and show once a year that they do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import KitGone, NoKeepers, WrongKit
from peer.people.keepers import YEAR
from tests.peer.recovery.circle import NAMES, Circle, open_circle
from tests.peer.recovery.test_back import empty


@pytest.fixture
async def circle(tmp_path: Path) -> AsyncIterator[Circle]:
    async with open_circle(tmp_path) as opened:
        yield opened


async def test_each_friend_keeps_a_share_and_none_stays_on_the_phone(circle: Circle) -> None:
    """Whoever takes Ana's phone finds no share; whoever takes a friend's finds one."""
    mine = circle.ana.peer.friends.circle()

    assert mine is not None
    assert mine.need == 3
    assert all(one.confirmed is not None for _, one in mine.keepers)
    [kept] = [one for _, one in circle.friends["Ben"].peer.friends.kept()]
    file = (circle.ana.home / "phone.sqlite").read_bytes()
    assert kept.share not in file
    circle.ana.peer._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert kept.share not in (circle.ana.home / "phone.sqlite").read_bytes()
    for phone in circle.friends.values():
        assert phone.rows("SELECT * FROM letter") == []
        assert phone.rows("SELECT count(*) FROM item WHERE raw LIKE ?", b"%share%") == [(0,)]


async def test_the_yearly_rehearsal_is_one_yes(circle: Circle) -> None:
    circle.house.hands.live(YEAR + 1)
    mine = circle.ana.peer.friends.circle()
    assert mine is not None
    assert all(one.rehearsal_due(circle.house.hands.now()) for _, one in mine.keepers)
    asked, answered = circle.ana.peer.friends.rehearse()
    assert (set(asked), answered) == (set(NAMES), ())
    await circle.ana.peer.try_outbox()
    await circle.settle()

    for name in NAMES[:3]:
        friend = circle.friends[name].peer
        assert friend.friends.rehearse() == ((), ("Ana",))
        await friend.try_outbox()
    await circle.settle()

    mine = circle.ana.peer.friends.circle()
    assert mine is not None
    shown = {name for name, one in mine.keepers if not one.rehearsal_due(circle.house.hands.now())}
    assert shown == set(NAMES[:3])


async def test_who_chooses_anew_makes_the_old_shares_worthless(circle: Circle) -> None:
    """With the kit, since the seed has gone from the phone."""
    kit = circle.ana.peer.kit.make()
    circle.ana.peer.kit.wipe()
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    asking.begin()
    old = [circle.helps(name, asking) for name in NAMES[:3]]
    chosen, need = circle.ana.peer.friends.look_up(("Ben", "Cleo"), 2)

    with pytest.raises(KitGone):
        await circle.ana.peer.friends.choose(chosen, need=need, seed=None)
    with pytest.raises(WrongKit):
        await circle.ana.peer.friends.choose(chosen, need=need, seed=bytes(16))
    await circle.ana.peer.friends.choose(chosen, need=need, seed=kit.code.seed)
    await circle.ana.peer.try_outbox()
    await circle.settle()

    for name in NAMES[2:]:
        assert circle.friends[name].peer.friends.kept() == ()
    for answer in old:
        asking.take(answer)
    with pytest.raises(NoKeepers, match="chosen since"):
        await asking.go_on(name="Ana")


async def test_only_compared_friends_are_chosen_and_each_once(circle: Circle) -> None:
    look_up = circle.ana.peer.friends.look_up
    await circle.ana.peer.block("Eve")

    for names, need in (
        (("Ben",), None),
        (("Ben", "ben"), 2),
        (("Ben", "Cleo"), 1),
        (("Ben", "Cleo"), 3),
        (("Ben", "Eve"), 2),
    ):
        with pytest.raises(NoKeepers):
            look_up(names, need)
    assert look_up(("Ben", "Cleo", "Dan"), None)[1] == 2
