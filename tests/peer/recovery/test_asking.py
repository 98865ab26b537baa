"""A new device asks friends, who help it and no other, and whoever lies is put aside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import BadCode, LyingKeeper, NoKeepers, NothingKept, NotYet
from peer.keys.helping import Help, help_number, open_help, seal_help
from peer.keys.primitives import Exchange, system_random
from peer.keys.shares import split
from tests.peer.recovery.circle import NAMES, Circle, open_circle
from tests.peer.recovery.test_back import empty
from wire.codes import AnswerCode, HelpCode
from wire.ids import PersonId
from wire.recovery import RELEASE_SECONDS


@pytest.fixture
async def circle(tmp_path: Path) -> AsyncIterator[Circle]:
    async with open_circle(tmp_path) as opened:
        yield opened


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
