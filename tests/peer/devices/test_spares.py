"""A second gateway keeps copies, and a person whose phone and gateway are gone comes back there."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from peer.devices.spares import COPY_EVERY, Spares
from peer.errors import BadCode, NotYet, WrongGateway
from peer.keys.words import words_of
from tests.peer.devices.family import all_texts, me, store_of
from tests.peer.household import Box, Household, Phone, befriend, household, texts
from wire.check_code import digits
from wire.recovery import RELEASE_SECONDS


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def two(house: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, and Ana and Ben, who are paired with it and know each other."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    return box, ana, ben


async def add_spare(phone: Phone, box: Box) -> dict[str, Any]:
    """Let a box be a phone's spare, the owner and its holder comparing the codes."""
    id, code = box.show()

    async def ask(number: int) -> bool:
        same = (await box.gateway.desk.look(id)).check == digits(number)
        await box.gateway.desk.say(id, same=same)
        return same

    return await phone.peer.add_spare(code, ask)


async def rows(box: Box, table: str) -> int:
    sql = f"SELECT count(*) FROM {table}"  # noqa: S608
    found: int = await box.gateway.database.write(lambda store: store.execute(sql).fetchone()[0])
    return found


async def test_who_lost_phone_and_box_comes_back_at_the_spare(house: Household) -> None:
    box, ana, ben = await two(house)
    spare = await house.box()
    for text in ("one", "two"):
        house.hands.live(60)
        await ana.peer.send("Ben", text)
        await texts(ana)
    added = await add_spare(ana, spare)
    assert (added["segments"], added["trouble"]) == (2, "")
    house.hands.live(COPY_EVERY + 1)
    await ana.peer.send("Ben", "three")
    await texts(ana)
    await texts(ana)
    seed = store_of(ana).vault.seed()
    assert seed is not None
    words = words_of(seed)
    await ana.close()
    await ben.close()
    await box.stop()

    new = Phone("Ana", house.folder / "new", house.hands)
    await new.open()
    with pytest.raises(WrongGateway):  # without a word that it is a spare
        await new.peer.come_back_with_words(words, spare.place, name="Ana")
    back = await new.peer.come_back_with_words(words, spare.place, name="Ana", spare=True)
    async for _ in new.peer.restore_archive():
        pass

    assert back.contacts == ("Ben",)
    assert await all_texts(new) == ["one", "two", "three"]
    assert new.peer.archive_status()["refused"] == []
    await new.close()


async def test_a_spare_gets_what_is_new_and_no_mailbox(house: Household) -> None:
    _box, ana, ben = await two(house)
    spare = await house.box()
    await add_spare(ana, spare)
    assert await rows(spare, "segment") == 0
    await ana.peer.send("Ben", "one")
    await texts(ana)
    [listed] = await ana.peer.spares()

    assert (listed["segments"], listed["trouble"]) == (1, "")
    assert [await rows(spare, table) for table in ("segment", "card")] == [1, 2]
    assert [await rows(spare, table) for table in ("lane", "parcel", "prekey")] == [0, 0, 0]
    await befriend(ben, await house.phone("Cleo", spare))
    assert await texts(ben) == ["one"]


async def test_a_spare_that_is_away_stops_nothing_and_is_tried_again(house: Household) -> None:
    _box, ana, _ben = await two(house)
    spare = await house.box()
    await add_spare(ana, spare)
    await spare.stop()
    house.hands.live(COPY_EVERY + 1)
    await ana.peer.send("Ben", "one")
    await texts(ana)

    [record] = Spares(store_of(ana), me(ana), now=house.hands.now).all()
    assert record.trouble == "gateway-not-there"
    assert Spares(store_of(ana), me(ana), now=house.hands.now).due() == ()
    await spare.start()
    house.hands.live(COPY_EVERY + 1)
    await texts(ana)
    [record] = Spares(store_of(ana), me(ana), now=house.hands.now).all()
    assert (record.trouble, record.segments) == ("", 1)


async def test_ones_own_box_is_no_spare_and_a_spare_can_be_left(house: Household) -> None:
    box, ana, _ben = await two(house)
    with pytest.raises(BadCode):
        await add_spare(ana, box)
    spare = await house.box()
    [place] = (await add_spare(ana, spare))["places"]

    with pytest.raises(BadCode):
        ana.peer.remove_spare("nowhere")
    assert ana.peer.remove_spare(str(place))["places"] == [place]
    assert await ana.peer.spares() == []


async def test_friends_and_the_spare_bring_her_back_where_the_box_is_gone(house: Household) -> None:
    box, spare = await house.box(), await house.box()
    ana = await house.phone("Ana", box)
    names = ("Ben", "Cleo", "Dan")
    friends = {name: await house.phone(name, box) for name in names}
    for friend in friends.values():
        await befriend(friend, ana)
    assert (await add_spare(ana, spare))["share"] is False
    chosen, need = ana.peer.friends.look_up(names, 3)
    await ana.peer.friends.choose(chosen, need=need, seed=None)
    await ana.peer.try_outbox()
    for phone in (*friends.values(), ana, *friends.values()):
        await phone.peer.read_quietly()
    [listed] = await ana.peer.spares()
    assert listed["share"] is True
    person = ana.peer.person
    await ana.close()
    await box.stop()

    new = Phone("new", house.folder / "new", house.hands)
    await new.open()
    asking = new.peer.asking()
    asking.begin()
    for name in names:
        keeper, progress = friends[name].peer.friends, asking.begin()
        contact, _ = keeper.may_help("Ana", progress.code)
        asking.take(keeper.help(contact, progress.code))
    with pytest.raises(NotYet):
        await asking.go_on(name="Ana", place=spare.place, spare=True)
    house.hands.live(RELEASE_SECONDS)
    back = await asking.go_on(name="Ana", place=spare.place, spare=True)

    assert (back.person, set(back.contacts)) == (person, set(names))
    await new.close()
