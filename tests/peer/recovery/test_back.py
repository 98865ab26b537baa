"""Somebody comes back with a kit: to her gateway, or where none is left."""

from pathlib import Path

import pytest

from peer.errors import (
    BadCode,
    GatewayNotThere,
    GatewayRefused,
    KitGone,
    MistypedWord,
    NoPerson,
    PersonExists,
    WrongGateway,
    WrongKit,
)
from peer.recovery.kit import Kit
from tests.peer.household import Household, Phone, befriend, household, they_write
from wire.codes import KitCode


async def destroyed(house: Household, phone: Phone) -> Kit:
    """Print a phone's kit, wipe the seed, let its prekeys and records reach the box, destroy it."""
    kit = phone.peer.kit.make()
    phone.peer.kit.wipe()
    await phone.peer.status()
    await phone.close()
    return kit


async def empty(house: Household, name: str) -> Phone:
    """Return a new phone on which there is nobody."""
    phone = Phone(name, house.folder / f"new-{name}", house.hands)
    house._stack.push_async_callback(phone.close)
    await phone.open()
    return phone


async def test_a_kit_takes_the_seat_back_and_opens_the_old_person_key(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        old_key, person = ana.peer.me.identity.person_key, ana.peer.person
        kit = await destroyed(house, ana)
        new = await empty(house, "new")

        back = await new.peer.come_back(kit.code, name="Ana")

        assert (back.person, back.shut_out, back.person_keys) == (person, 1, 1)
        assert new.peer.person == person
        card = new.peer.me.card
        assert (card.position.epoch, card.position.seq) == (2, 0)
        assert [one.key for one in card.devices] == [new.peer.me.identity.device.key]
        keys = new.peer._store.vault.person_keys()
        assert [one.generation for one in keys] == [2, 1]
        assert keys[1] == old_key
        assert new.peer._store.vault.seed() is None
        status = await new.peer.status()
        assert status["gateway"] == "answers"


async def test_the_old_phone_is_shut_out_when_it_turns_up_again(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        kit = ana.peer.kit.make()
        new = await empty(house, "new")
        await new.peer.come_back(kit.code, name="Ana")

        with pytest.raises(GatewayRefused) as refused:
            async for _ in ana.peer.watch():
                pass

        assert refused.value.reason == "revoked"


async def test_the_person_key_can_be_opened_again_after_coming_back_twice(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        ana = await house.phone("Ana", await house.box())
        kit = await destroyed(house, ana)
        for number in (2, 3):
            new = await empty(house, f"new-{number}")
            back = await new.peer.come_back(kit.code, name="Ana")
            assert back.person_keys == number - 1
            await new.close()


async def test_words_are_enough_with_the_place_of_the_box(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)
        person, kit = ana.peer.person, await destroyed(house, ana)
        new = await empty(house, "new")

        back = await new.peer.come_back_with_words(kit.words, box.place, name="Ana")

        assert back.person == person


async def test_a_wrong_kit_never_makes_somebody_new(tmp_path: Path) -> None:
    """R3: another's seed under my name, somebody whom the box does not know, mistyped words."""
    async with household(tmp_path) as house:
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben")
        right, other = ana.peer.kit.make().code, ben.peer.kit.make()
        new = await empty(house, "new")
        forged = KitCode(other.code.seed, right.person, right.gateway, right.places)
        unknown = KitCode(other.code.seed, other.code.person, right.gateway, right.places)

        for kit in (forged, unknown):
            with pytest.raises(WrongKit):
                await new.peer.come_back(kit, name="Ana")
        with pytest.raises(WrongKit):
            await new.peer.come_back_with_words(other.words, box.place, name="Ana")
        with pytest.raises(MistypedWord):
            await new.peer.come_back_with_words([*other.words[:19], "acid"], box.place, name="Ana")
        with pytest.raises(WrongKit):
            new.peer.come_back_alone(other.code.seed, person=right.person, name="Ana")
        with pytest.raises(WrongKit):
            new.peer.come_back_alone(other.code.seed, mark="abcd-abcd-abcd", name="Ana")

        with pytest.raises(NoPerson):
            assert new.peer.person
        assert await box.gateway.seat_count() == 1
        assert (await ana.peer.status())["gateway"] == "answers"


async def test_a_gateway_that_the_card_does_not_name_gets_nothing(tmp_path: Path) -> None:
    """Whoever answers at the place that was typed could hand out an old card that he has seen."""
    async with household(tmp_path) as house:
        box, other = await house.box(), await house.box()
        ana = await house.phone("Ana", box)
        kit = await destroyed(house, ana)
        new = await empty(house, "new")

        with pytest.raises(WrongKit):
            await new.peer.come_back_with_words(kit.words, other.place, name="Ana")
        with pytest.raises(WrongGateway):
            await new.peer.come_back(
                KitCode(
                    kit.code.seed, kit.code.person, other.gateway.identity.gateway, (box.place,)
                ),
                name="Ana",
            )


async def test_nobody_comes_back_over_somebody_who_is_there(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        ana = await house.phone("Ana", await house.box())
        kit = ana.peer.kit.make()

        with pytest.raises(PersonExists):
            await ana.peer.come_back(kit.code, name="Ana")
        with pytest.raises(PersonExists):
            ana.peer.come_back_alone(kit.code.seed, person=kit.code.person, name="Ana")


async def test_a_kit_that_does_not_say_where_is_told(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana")
        early = ana.peer.kit.make().code
        await box.pair(ana)
        await ana.close()
        new = await empty(house, "new")

        with pytest.raises(BadCode, match="--at"):
            await new.peer.come_back(early, name="Ana")
        with pytest.raises(GatewayNotThere):
            await new.peer.come_back(early, place=house.dead_place(), name="Ana")
        assert (await new.peer.come_back(early, place=box.place, name="Ana")).shut_out == 1


async def test_a_lost_answer_is_no_lost_person(tmp_path: Path) -> None:
    """The seat was taken for keys that nobody keeps: the next try goes an epoch further."""
    async with household(tmp_path) as house:
        box = await house.box()
        kit = await destroyed(house, await house.phone("Ana", box))
        new = await empty(house, "new")
        box.line.lose("POST /v1/recover", times=2)

        with pytest.raises(GatewayNotThere):
            await new.peer.come_back(kit.code, name="Ana")
        back = await new.peer.come_back(kit.code, name="Ana")

        assert new.peer.me.card.position.epoch == 3
        assert back.person_keys == 1


async def test_with_the_box_gone_the_kit_restores_who_somebody_is(tmp_path: Path) -> None:
    """Her contact takes the new card, for it is of a higher epoch than any that was counted up."""
    async with household(tmp_path) as house:
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
        await befriend(ana, ben)
        person, kit = ana.peer.person, await destroyed(house, ana)
        await box.stop()
        house.hands.live(3600)  # two exchanges within ten minutes would count as crossed
        new = await empty(house, "new")

        with pytest.raises(GatewayNotThere):
            await new.peer.come_back(kit.code, name="Ana")
        back = new.peer.come_back_alone(kit.code.seed, mark=kit.mark.upper(), name="Ana")
        assert any("contacts" in one for one in back.lacking)
        await (await house.box()).pair(new)
        await befriend(new, ben)

        assert new.peer.person == person
        assert [one.name for one in ben.peer.contacts.all()] == ["Ana"]
        assert not (await ben.peer.send("Ana", "welcome back")).waiting
        assert [one.text for one in (await new.peer.read()).letters] == ["welcome back"]


async def test_contacts_come_back_and_go_on_without_meeting(tmp_path: Path) -> None:
    """Z10: letters of before are sent again, and who hears of it sees that she came back."""
    async with household(tmp_path) as house:
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
        await befriend(ana, ben)
        await they_write(ana, ben)
        kit = await destroyed(house, ana)
        house.hands.live(3600)
        await ben.peer.send("Ana", "while you were away")
        old_lanes = {row[0] for row in ben.rows("SELECT secret FROM lane_taken")}
        new = await empty(house, "new")

        back = await new.peer.come_back(kit.code, name="Ana")
        assert back.contacts == ("Ben",)
        await new.peer.read()
        assert not (await new.peer.send("Ben", "here I am")).waiting
        assert [one.text for one in (await ben.peer.read()).letters] == ["here I am"]
        assert [one.text for one in (await new.peer.read()).letters] == ["while you were away"]
        everything = (await new.peer.read(everything=True)).letters
        assert {one.text for one in everything if not one.outgoing} == {
            "Ben to Ana ",  # read before, as the state says; sent again all the same
            "while you were away",
        }
        assert "Ana to Ben " in {one.text for one in everything if one.outgoing}  # the archive
        new.name = "Ana"
        await they_write(new, ben, tag="as before")

        [contact] = ben.peer.contacts.all()
        assert ben.peer.contacts.recovered(contact.person) == house.hands.now()
        assert not old_lanes & {row[0] for row in ben.rows("SELECT secret FROM lane_taken")}
        await new.peer.status()
        assert new.rows("SELECT count(*) FROM lane_given") == [(2,)]
        await befriend(new, ben)
        assert ben.peer.contacts.recovered(contact.person) is None


async def test_what_a_thief_says_after_the_phone_was_shut_out_is_not_taken(tmp_path: Path) -> None:
    """A9: neither letters from the lost phone, nor changes of the state that it signs later."""
    async with household(tmp_path) as house:
        box = await house.box()
        ana, ben = await house.phone("Ana", box), await house.phone("Ben", await house.box())
        await befriend(ana, ben)
        kit = ana.peer.kit.make()
        ana.peer.kit.wipe()
        await ana.peer.status()
        house.hands.live(3600)
        new = await empty(house, "new")
        await new.peer.come_back(kit.code, name="Ana")
        await ben.peer.read()

        with pytest.raises(KitGone):
            ana.peer.kit.make()
        await ana.peer.send("Ben", "send me money")
        reading = await ben.peer.read()

        assert reading.letters == ()
        assert [one.code for one in reading.troubles] == ["device-unknown"]
        new.name = "Ana"
        await they_write(new, ben)
