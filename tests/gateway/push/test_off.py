"""A gateway that pushes to nobody says so to the phones that ask, and to nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.push.service import open_home
from tests.gateway.push.test_routes import PATHS
from tests.gateway.served import Served, open_served
from wire.pushes import Address, AddressKind, Hours, Reach

REACH, *OTHERS = PATHS


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


def routes(served: Served) -> set[tuple[str, str]]:
    """Return the method and path of all that can be asked about pushes."""
    return {
        (method, rule.rule)
        for rule in served.gateway.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/push")
    }


async def test_a_phone_learns_that_nothing_wakes_it_and_nothing_waits(served: Served) -> None:
    phone = await served.enrolled()

    answer = await phone.ask(*REACH)

    assert answer.status == 200
    assert Reach.decode(answer.data) == Reach(b"", 0, waits=False, hours=Hours())


@pytest.mark.parametrize(("method", "path"), OTHERS)
async def test_all_else_is_refused_with_one_code(served: Served, method: str, path: str) -> None:
    phone = await served.enrolled()

    answer = await phone.ask(method, path)

    assert (answer.status, answer.code) == (409, "push-off")


async def test_what_is_in_order_elsewhere_is_refused_and_not_kept(served: Served) -> None:
    phone = await served.enrolled()
    address = Address(AddressKind.WEB_PUSH, "https://push.example.net/x", b"\x04" * 65, b"a" * 16)
    hours = Hours(zone="Europe/Berlin", quiet=(1320, 420))

    answers = [
        await phone.ask("PUT", "/v1/push/address", address.encode()),
        await phone.ask("PUT", "/v1/push/hours", hours.encode()),
    ]

    assert [one.code for one in answers] == ["push-off"] * 2
    reach = Reach.decode((await phone.ask(*REACH)).data)
    assert (reach.address, reach.waits, reach.hours) == (0, False, Hours())


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_nobody_learns_it_without_a_login(served: Served, method: str, path: str) -> None:
    await served.enrolled()

    answer = await (await served.visitor()).ask(method, path)

    assert (answer.status, answer.code) == (401, "login-needed")


async def test_it_answers_all_that_a_gateway_that_pushes_is_asked(
    tmp_path: Path, served: Served
) -> None:
    async with open_home(tmp_path / "pushing") as home:
        pushing = routes(home.served)

    assert pushing == set(PATHS)
    assert routes(served) == pushing


async def test_it_makes_no_key_to_push_with(tmp_path: Path, served: Served) -> None:
    phone = await served.enrolled()
    await phone.ask(*REACH)

    assert not list(tmp_path.rglob("vapid.key"))
