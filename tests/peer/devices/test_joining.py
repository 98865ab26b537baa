"""A new device believes what it was granted, and no gateway that hands out something older."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peer.devices.joining import _check_card
from peer.errors import BadCode, NoPerson
from peer.keys.grant import Grant
from peer.keys.person import Device, PersonKey
from peer.keys.primitives import system_random
from tests.peer.devices.circle import Introducing, another, blank
from tests.peer.household import Household, household
from tests.wire.people import PERSON, birth, step
from wire.card import Card
from wire.codes import ShownBy
from wire.ids import GatewayId
from wire.places import Place


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


@pytest.mark.parametrize("kind", ["older", "another", "without it"])
def test_a6_a_card_that_the_grant_does_not_mean_is_refused(kind: str) -> None:
    """A6: the gateway hands a new device an older card, another one, or one without it."""
    first = birth("phone")
    added = step(first, "phone", "phone", "tablet")
    card = Card.begin(PERSON, first).take(added)[0]
    given = {
        "older": Card.begin(PERSON, first),
        "another": Card.begin(PERSON, first).take(step(first, "phone", "phone", "evil"))[0],
        "without it": card.take(step(added, "phone", "phone"))[0],
    }[kind]
    grant = Grant(
        PERSON, "Ana", PersonKey(1, bytes(32)), card.position, bytes(32), GatewayId(bytes(32)),
        (), (),
    )  # fmt: skip

    with pytest.raises(BadCode, match="another card"):
        _check_card(given, grant, Device.generate(system_random))


async def test_what_was_cut_off_leaves_nobody_on_the_new_device(house: Household) -> None:
    box = await house.box()
    ana = await house.phone("Ana", box)
    new = await blank(house, "Ana")
    box.line.lose("POST /v1/join", times=4)

    await Introducing(ana, new).outcomes()
    box.line.accidents.clear()

    with pytest.raises(NoPerson):
        new.peer.me  # noqa: B018  # it raises
    tablet = await another(house, ana)
    assert len(tablet.peer.devices) == 3  # the one that never came is listed, and can be taken off


async def test_a_device_that_found_another_box_is_refused(house: Household) -> None:
    box, other = await house.box(), await house.box()
    ana = await house.phone("Ana", box)
    new = await blank(house, "Ana")
    adding = Introducing(ana, new, ShownBy.NEW)
    place = Place("127.0.0.1", other.port)

    async def show_elsewhere(code: object) -> None:
        with pytest.raises(BadCode, match="another box"):
            await ana.peer.add_device(
                code.text(),  # type: ignore[attr-defined]
                on_code=adding._on_code,
                ask=adding._ask,
                without_kit=True,
            )
        raise BadCode("the test ends here")

    with pytest.raises(BadCode, match="ends here"):
        await new.peer.join(
            None, place=place, on_code=show_elsewhere, show=adding._show, name="tablet"
        )
    adding.code.cancel()
