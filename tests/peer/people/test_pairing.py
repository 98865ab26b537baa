"""A phone pairs with a box that really listens, whatever is lost or refused on the way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.sync.pairing import Stage
from peer.errors import (
    BadCode,
    GatewayNotThere,
    GatewayRefused,
    NotPaired,
    NotTheSame,
    WrongGateway,
)
from tests.peer.household import (
    PATIENCE,
    Box,
    Household,
    Phone,
    Screen,
    When,
    befriend,
    household,
    they_write,
)
from wire.check_code import digits
from wire.codes import GATEWAY_CODE_SECONDS, GatewayCode

PAIR = "POST /v1/pair"
LOST = 4
"""A request that is lost is repeated at once, so more than one is to be lost."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


@dataclass
class Owner:
    """Somebody in front of a box, who compares what both screens show."""

    box: Box
    id: str
    says: bool = True
    screen: Screen = field(default_factory=Screen)

    async def ask(self, number: int) -> bool:
        """Be asked by the phone, having looked at the box as well."""
        desk = self.box.gateway.desk
        view = await desk.look(self.id)
        assert view.check == digits(number)
        if view.stage is Stage.COMPARE:
            await desk.say(self.id, same=self.says)
        return await self.screen.ask(number)

    async def stage(self) -> Stage:
        """Return what the box shows."""
        return (await self.box.gateway.desk.look(self.id)).stage


def shows(box: Box, *, says: bool = True, phone_says: bool = True) -> tuple[Owner, str]:
    """Let a box show a code."""
    id, code = box.show()
    return Owner(box, id, says, Screen(phone_says)), code


async def nobody(_number: int) -> bool:
    """Be asked where nothing is to be asked."""
    raise AssertionError("nothing was to be compared")


async def is_alone(phone: Phone) -> None:
    """Prove that a phone is paired with no gateway."""
    assert (await phone.peer.status())["gateway"] == "none"


async def is_at(phone: Phone, box: Box) -> None:
    """Prove that a phone has a mailbox at a gateway, which knows it."""
    status = await phone.peer.status()
    assert status["gateway"] == "answers"
    assert status["places"][0] == str(box.place)


async def test_a_phone_pairs_and_has_a_mailbox(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    owner, code = shows(box)
    places = await ana.peer.pair(code, owner.ask)

    assert places[0] == box.place
    assert len(owner.screen.shown) == 1
    assert await owner.stage() is Stage.PAIRED
    await is_at(ana, box)


@pytest.mark.parametrize("when", list(When))
@pytest.mark.parametrize("nth", [0, 1])
async def test_the_same_code_again_ends_as_it_would_have(
    house: Household, when: When, nth: int
) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    owner, code = shows(box)
    box.line.lose(PAIR, when=when, skip=nth)
    box.line.lose(PAIR, when=when, times=LOST)
    with pytest.raises(GatewayNotThere):
        await ana.peer.pair(code, owner.ask)
    box.line.accidents.clear()
    await ana.peer.pair(code, owner.ask)

    assert len(set(owner.screen.shown)) == 1  # the same request, so the same check code
    await is_at(ana, box)


@pytest.mark.parametrize("when", list(When))
@pytest.mark.parametrize(
    "name",
    [
        "POST /v1/challenge",
        "POST /v1/login",
        "POST /v1/card",
        "GET /v1/prekeys",
        "POST /v1/prekeys",
    ],
)
async def test_what_is_lost_while_moving_in_is_made_good(
    house: Household, name: str, when: When
) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    ben = await house.phone("Ben", box)
    owner, code = shows(box)
    lost = box.line.lose(name, when=when, times=LOST)
    with pytest.raises(GatewayNotThere):
        await ana.peer.pair(code, owner.ask)
    box.line.accidents.clear()
    await ana.peer.pair(code, nobody)

    assert lost[0].happened.is_set()
    await is_at(ana, box)
    await befriend(ana, ben)
    await they_write(ana, ben)


async def test_a_phone_that_dies_while_its_box_answers_pairs_by_the_same_code(
    house: Household,
) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    owner, code = shows(box)
    held = box.line.hold(1, by=lambda one: one.name == PAIR, when=When.AFTER)
    pairing = asyncio.ensure_future(ana.peer.pair(code, owner.ask))
    async with asyncio.timeout(PATIENCE):
        await held.happened.wait()
    await ana.pull_battery(pairing)
    await ana.peer.pair(code, nobody)

    assert await owner.stage() is Stage.PAIRED
    await is_at(ana, box)


async def test_when_the_phone_says_no_nothing_is_paired(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    id, code = box.show()
    screen = Screen(says=False)
    with pytest.raises(NotTheSame, match="begin again with a new code"):
        await ana.peer.pair(code, screen.ask)

    assert (await box.gateway.desk.look(id)).stage is Stage.REFUSED
    await is_alone(ana)
    with pytest.raises((NotTheSame, GatewayRefused)):
        await ana.peer.pair(code, nobody)
    await box.pair(ana)
    await is_at(ana, box)


async def test_when_the_owner_says_no_nothing_is_paired(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    owner, code = shows(box, says=False)
    with pytest.raises(NotTheSame, match="not confirmed to be the same on both sides"):
        await ana.peer.pair(code, owner.ask)

    assert await owner.stage() is Stage.REFUSED
    await is_alone(ana)


async def test_a_code_serves_one_phone(house: Household) -> None:
    box, ana, eve = await house.box(), await house.phone("Ana"), await house.phone("Eve")
    owner, code = shows(box)
    await ana.peer.pair(code, owner.ask)
    with pytest.raises(GatewayRefused, match="used by another phone") as refused:
        await eve.peer.pair(code, nobody)

    assert refused.value.reason == "code-used"
    await is_alone(eve)
    await is_at(ana, box)


async def test_a_code_that_another_phone_is_comparing_is_used(house: Household) -> None:
    box, ana, eve = await house.box(), await house.phone("Ana"), await house.phone("Eve")
    owner, code = shows(box)

    async def ask(number: int) -> bool:
        with pytest.raises(GatewayRefused) as refused:
            await eve.peer.pair(code, nobody)
        assert refused.value.reason == "code-used"
        return await owner.ask(number)

    await ana.peer.pair(code, ask)

    await is_at(ana, box)
    await is_alone(eve)


async def test_a_code_that_is_over_is_refused(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    _, code = shows(box)
    house.hands.live(GATEWAY_CODE_SECONDS + 1.0)
    with pytest.raises(GatewayRefused, match="this code is over; show a new one") as refused:
        await ana.peer.pair(code, nobody)

    assert refused.value.reason == "code-expired"
    await is_alone(ana)


async def test_a_guessed_secret_is_refused_and_soon_burns_the_code(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    owner, code = shows(box)
    guess = replace(GatewayCode.parse(code), secret=bytes(16)).text()
    reasons = []
    for _ in range(6):
        with pytest.raises(GatewayRefused) as refused:
            await ana.peer.pair(guess, nobody)
        reasons.append(refused.value.reason)
    with pytest.raises(GatewayRefused):
        await ana.peer.pair(code, owner.ask)

    assert reasons[0] == "code-wrong"
    assert await owner.stage() is not Stage.PAIRED
    await is_alone(ana)


async def test_somebody_else_at_the_boxs_address_is_sent_nothing(house: Household) -> None:
    box, other, ana = await house.box(), await house.box(), await house.phone("Ana")
    _, code = shows(box)
    elsewhere = replace(GatewayCode.parse(code), place=other.place).text()
    with pytest.raises(WrongGateway, match="nothing was sent to them"):
        await ana.peer.pair(elsewhere, nobody)

    assert other.line.requests == []
    await is_alone(ana)


async def test_where_nobody_listens_the_place_is_named(house: Household) -> None:
    box, ana = await house.box(), await house.phone("Ana")
    _, code = shows(box)
    nowhere = house.dead_place()
    with pytest.raises(GatewayNotThere, match=str(nowhere)):
        await ana.peer.pair(replace(GatewayCode.parse(code), place=nowhere).text(), nobody)

    await is_alone(ana)


async def test_pairing_again_with_the_same_box_changes_nothing_for_contacts(
    house: Household,
) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    await box.pair(ana)

    await they_write(ana, ben)


async def test_a_place_where_another_box_answers_is_not_moved_to(house: Household) -> None:
    box, other = await house.box(), await house.box()
    ana = await house.phone("Ana", box)
    with pytest.raises(WrongGateway, match="Look at its address"):
        await ana.peer.move_gateway(str(other.place))

    assert other.line.requests == []
    await is_at(ana, box)


async def test_a_place_where_nobody_answers_is_not_moved_to(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    with pytest.raises(GatewayNotThere):
        await ana.peer.move_gateway(str(house.dead_place()))

    await is_at(ana, box)


async def test_what_is_no_address_is_refused_in_words(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    with pytest.raises(BadCode):
        await ana.peer.move_gateway("not an address")
    with pytest.raises(NotPaired):
        await (await house.phone("Ben")).peer.move_gateway(str(box.place))
