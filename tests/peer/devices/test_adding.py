"""A device lets another one in: by either screen, never without the digits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.errors import BadCode, KitFirst, NobodyAnswered, NotTheSame, PersonExists, TooManyDevices
from peer.ways.furnishing import at_home
from tests.peer.devices.circle import Introducing, another, blank
from tests.peer.household import Household, befriend, household, texts
from wire.card import Role
from wire.codes import ShownBy
from wire.rendezvous import SLOT_SECONDS


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


@pytest.mark.parametrize("shown_by", ShownBy)
async def test_a_device_comes_in_by_either_screen(house: Household, shown_by: ShownBy) -> None:
    ana = await house.phone("Ana", await house.box())
    tablet = await blank(house, "Ana")
    adding = Introducing(ana, tablet, shown_by, "kitchen tablet")

    name, me = await adding.hold()

    assert (name, me.name, me.person) == ("kitchen tablet", "Ana", ana.peer.person)
    [offer] = adding.offers
    assert (offer.name, offer.entry.role) == ("kitchen tablet", Role.COMPUTER)
    assert me.card.position == ana.peer.me.card.position
    assert me.identity.person_key == ana.peer.me.identity.person_key
    assert tablet.peer._store.vault.seed() is None
    assert tablet.peer._store.vault.recovery_public() == ana.peer._store.vault.recovery_public()
    assert tablet.peer.devices[0].name == "kitchen tablet"
    assert {one.name for one in tablet.peer.devices} == {one.name for one in ana.peer.devices}
    assert (await tablet.peer.status())["gateway"] == "answers"


async def test_the_new_device_can_let_in_the_next_one(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    tablet = await another(house, ana)
    laptop = await another(house, tablet, "laptop", shown_by=ShownBy.NEW)

    async with at_home(ana.peer._store, ana.peer.me, now=house.hands.now()):
        pass

    cards = [one.peer.me.card.position for one in (ana, tablet, laptop)]
    assert len(set(cards)) == 1
    assert len(ana.peer.devices) == 3


@pytest.mark.parametrize("shown_by", ShownBy)
@pytest.mark.parametrize("typed", ["", "000 000", "1234567", "no"])
async def test_p4_without_the_right_digits_nothing_is_handed_over(
    house: Household, shown_by: ShownBy, typed: str
) -> None:
    """P4: the digits that the new device shows were not typed into the old one."""
    box = await house.box()
    ana = await house.phone("Ana", box)
    before = ana.peer.me.card.position
    new = await blank(house, "Eve")
    start = len(box.line.requests)

    outcomes = await Introducing(ana, new, shown_by, typed=typed).outcomes()

    assert [type(one) for one in outcomes] == [NotTheSame, NotTheSame]
    assert ana.peer.me.card.position == before
    assert ana.peer.me.pending is None
    sizes = box.line.sizes("PUT /v1/rendezvous/*/4")
    assert sizes == [1]
    assert "PUT /v1/person-key" not in box.line.names()[start:]
    assert new.rows("SELECT 1 FROM own_keys") == []


async def test_no_device_is_added_while_the_seed_is_here_unless_one_says_so(
    house: Household,
) -> None:
    ana = await house.phone("Ana", await house.box())
    adding = Introducing(ana, await blank(house, "Ana"))

    with pytest.raises(KitFirst):
        await ana.peer.add_device(None, on_code=adding._on_code, ask=adding._ask)
    with ana.peer._store.transaction():
        ana.peer._store.vault.wipe_seed()
    adding.code.cancel()
    tablet = await another(house, ana)
    assert len(tablet.peer.devices) == 2


async def test_a_code_of_the_wrong_side_is_refused_and_explained(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    new = await blank(house, "Ana")
    adding = Introducing(ana, new)
    swapped = Introducing(ana, new, ShownBy.NEW)

    async def wrong_side(code: object) -> None:
        swapped.code.set_result(code)  # type: ignore[arg-type]
        adding.code.set_result(code)  # type: ignore[arg-type]
        with pytest.raises(BadCode, match="yours already"):
            await ana.peer.add_device(
                code.text(),  # type: ignore[attr-defined]
                on_code=adding._on_code,
                ask=adding._ask,
                without_kit=True,
            )
        raise NobodyAnswered("the test ends here")

    with pytest.raises(NobodyAnswered):
        await ana.peer.add_device(None, on_code=wrong_side, ask=adding._ask, without_kit=True)


async def test_who_is_somebody_already_does_not_join(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    adding = Introducing(ana, ben)

    with pytest.raises(PersonExists):
        await ben.peer.join(
            "HPD1:x", place=None, on_code=adding._on_code, show=adding._show, name="x"
        )


async def test_there_are_ten_devices_at_most(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    devices = [ana]
    for number in range(9):
        devices.append(await another(house, devices[-1], f"device {number}"))
        house.hands.live(SLOT_SECONDS)  # a seat has three slots at a time

    adding = Introducing(devices[-1], await blank(house, "Ana"))
    with pytest.raises(TooManyDevices):
        await adding.add()
    adding.code.cancel()
    assert len(devices[-1].peer.devices) == 10


async def test_contacts_see_that_there_is_a_new_device(house: Household) -> None:
    ana = await house.phone("Ana", await house.box())
    ben = await house.phone("Ben", await house.box())
    await befriend(ana, ben)

    await another(house, ana, "secret name")

    reading = await ben.peer.read()
    [noticed] = reading.noticed
    assert (noticed.contact, noticed.what, noticed.device) == ("Ana", "added", "computer")
    assert (await ben.peer.read()).noticed == ()


async def test_a_letter_reaches_the_phone_after_its_person_has_another_device(
    house: Household,
) -> None:
    ana = await house.phone("Ana", await house.box())
    ben = await house.phone("Ben", await house.box())
    await befriend(ana, ben)
    await another(house, ana)
    await ben.peer.read()

    assert not (await ben.peer.send("Ana", "to both")).waiting
    assert await texts(ana) == ["to both"]
