"""Friends keep shares, show once a year that they do, and help a new device and no other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from peer.errors import (
    BadCode,
    Cancelled,
    GatewayRefused,
    KitGone,
    LyingKeeper,
    NoKeepers,
    NothingKept,
    NotYet,
    WrongKit,
)
from peer.keys.helping import Help, help_number, open_help, seal_help
from peer.keys.primitives import Exchange, system_random
from peer.keys.shares import split
from peer.people.keepers import YEAR
from peer.recovery.asking import Asking
from tests.peer.household import Box, Household, Phone, befriend, household
from tests.peer.recovery.test_back import empty
from wire.codes import AnswerCode, HelpCode
from wire.ids import PersonId
from wire.recovery import RELEASE_SECONDS, Stage

NAMES = ("Ben", "Cleo", "Dan", "Eve")


@dataclass
class Circle:
    """Ana, whose four friends keep shares, at one box."""

    house: Household
    box: Box
    ana: Phone
    friends: dict[str, Phone]

    async def settle(self) -> None:
        """Let everybody collect, twice: an answer goes back."""
        for _ in range(2):
            for phone in (*self.friends.values(), self.ana):
                await phone.peer.read_quietly()

    def helps(self, name: str, asking: Asking) -> AnswerCode:
        """Let a friend compare, and hand out the share."""
        friend, progress = self.friends[name].peer.friends, asking.begin()
        contact, number = friend.may_help("Ana", progress.code)
        assert number == progress.number
        return friend.help(contact, progress.code)


@pytest.fixture
async def circle(tmp_path: Path) -> AsyncIterator[Circle]:
    """Give Ana with her friends."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(household(tmp_path))
        box = await house.box()
        ana = await house.phone("Ana", box)
        friends = {name: await house.phone(name, box) for name in NAMES}
        for friend in friends.values():
            await befriend(friend, ana)  # a seat has three slots in ten minutes
        chosen, need = ana.peer.friends.look_up(NAMES, None)
        await ana.peer.friends.choose(chosen, need=need, seed=None)
        found = Circle(house, box, ana, friends)
        await ana.peer.try_outbox()
        await found.settle()
        yield found


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


async def test_three_friends_and_the_box_bring_her_back_after_three_days(circle: Circle) -> None:
    """R1, R2, Z8: from nothing but what friends tell the new device."""
    person = circle.ana.peer.person
    await circle.ana.close()
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    asking.begin()

    for count, name in enumerate(("Ben", "Dan", "Eve"), start=1):
        with pytest.raises(NoKeepers):
            await asking.go_on(name="Ana")
        progress = asking.take(circle.helps(name, asking))
        assert (len(progress.keepers), progress.need) == (count, 3)
    with pytest.raises(NotYet) as not_yet:
        await asking.go_on(name="Ana")
    assert not_yet.value.left == RELEASE_SECONDS
    circle.house.hands.live(RELEASE_SECONDS - 1)
    with pytest.raises(NotYet):
        await new.peer.asking().go_on(name="Ana")
    circle.house.hands.live(1)
    back = await new.peer.asking().go_on(name="Ana")

    assert (back.person, back.shut_out, back.person_keys) == (person, 1, 1)
    assert new.peer.person == person
    assert new.peer._store.vault.seed() is None


async def test_her_devices_and_her_friends_see_who_asks_and_her_device_says_no(
    circle: Circle,
) -> None:
    """R4: a device that was not named as lost."""
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    asking.begin()
    for name in NAMES[:3]:
        asking.take(circle.helps(name, asking))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana", still_here=asking.devices())
    circle.house.hands.live(86_401)

    await circle.settle()

    for phone in (circle.ana, *circle.friends.values()):
        [alarm] = await phone.peer.alarms()
        assert (alarm.stage, alarm.named) == (Stage.WAITING, False)
        assert alarm.number == asking.begin().number
        assert alarm.contact == (None if phone is circle.ana else "Ana")
    await circle.ana.peer.friends.cancel(alarm.request)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana", still_here=asking.devices())
    circle.house.hands.live(RELEASE_SECONDS)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana")


async def test_a_device_that_was_named_as_lost_needs_the_kit(circle: Circle) -> None:
    """R4: three friends who agree against her; she has the paper."""
    kit = circle.ana.peer.kit.make()
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    asking.begin()
    for name in NAMES[:3]:
        asking.take(circle.helps(name, asking))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana")
    await circle.settle()

    [alarm] = await circle.ana.peer.alarms()
    assert alarm.named
    with pytest.raises(GatewayRefused) as refused:
        await circle.ana.peer.friends.cancel(alarm.request)
    assert refused.value.reason == "named-lost"
    with pytest.raises(WrongKit):
        await circle.ana.peer.friends.cancel(alarm.request, seed=bytes(16))
    await circle.ana.peer.friends.cancel(alarm.request, seed=kit.code.seed)
    with pytest.raises(Cancelled):
        await asking.go_on(name="Ana")


async def test_an_answer_opens_on_the_device_that_asked_alone(circle: Circle) -> None:
    """R2: a thief who asks with the lost phone has no key to which anything is sealed."""
    new, thief = await empty(circle.house, "new"), await empty(circle.house, "thief")
    asking, other = new.peer.asking(), thief.peer.asking()
    asking.begin()
    other.begin()
    answer = circle.helps("Ben", asking)

    with pytest.raises(BadCode):
        other.take(answer)
    assert asking.begin().number != other.begin().number
    with pytest.raises(NothingKept):
        circle.ana.peer.friends.may_help("Ben", asking.begin().code)


async def test_a_keeper_who_lies_is_named_and_the_others_bring_her_back(circle: Circle) -> None:
    """R5."""
    new = await empty(circle.house, "new")
    asking = new.peer.asking()
    code = asking.begin().code
    for name in NAMES[:2]:
        asking.take(circle.helps(name, asking))
    right = circle.friends["Dan"].peer.friends.kept()[0][1]
    false = Help(
        circle.ana.peer.person,
        "Dan",
        right.set,
        split(bytes(16), need=3, count=4).friends[2],
        3,
        right.marks,
        circle.box.gateway.identity.gateway,
        (str(circle.box.place),),
        (),
    )

    with pytest.raises(LyingKeeper, match="Dan"):
        asking.take(AnswerCode(seal_help(false, to=code.key)))

    assert asking.begin().keepers == NAMES[:2]
    asking.take(circle.helps("Eve", asking))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana")


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


def test_an_answer_says_whose_it_is_and_is_sealed_to_one_key() -> None:
    new, other = Exchange.generate(system_random), Exchange.generate(system_random)
    share = split(bytes(16), need=2, count=2).friends[0]
    answer = Help(
        person=PersonId(bytes(32)),
        keeper="Ben",
        set=bytes(16),
        share=share,
        need=2,
        marks=bytes(16),
        gateway=None,
        places=(),
        devices=(),
    )

    sealed = seal_help(answer, to=new.public)

    assert open_help(sealed, new) == answer
    assert share not in sealed
    assert help_number(new.public) != help_number(other.public)
    assert HelpCode.parse(HelpCode(new.public).text()).key == new.public
