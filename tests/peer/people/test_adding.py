"""Two phones add each other through a real slot at a real gateway, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from peer.app import open_peer
from peer.errors import (
    BadCode,
    GatewayNotThere,
    GatewayRefused,
    NobodyAnswered,
    NotPaired,
    NotTheSame,
    WrongGateway,
)
from peer.keys.contact_exchange import Guest
from peer.people.contacts import Contact
from tests.peer.household import (
    PATIENCE,
    Box,
    Household,
    Lookers,
    Meeting,
    Phone,
    Request,
    Screen,
    When,
    befriend,
    end,
    household,
    outcomes,
    they_write,
    together,
)
from wire.codes import CONTACT_CODE_SECONDS, ContactCode

SLOT = "/v1/rendezvous/*"
WRITES = [f"PUT {SLOT}/{number}" for number in (1, 2, 3, 4)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def pair_of(house: Household) -> tuple[Box, Phone, Phone]:
    """Return a box, Ana who will show a code, and Ben at a box of his own who will read it."""
    box, his = await house.box(), await house.box()
    return box, await house.phone("Ana", box), await house.phone("Ben", his)


def nobody_was_added(*phones: Phone) -> None:
    """Prove that a phone has no contact, no keys for one, and gave nobody a lane that counts."""
    for phone in phones:
        assert phone.peer.contacts.all() == []
        assert phone.rows("SELECT 1 FROM lane_taken") == []
        assert phone.rows("SELECT 1 FROM lane_given WHERE gateway IS NOT NULL") == []


# As it should go


async def test_two_phones_add_each_other_and_write_both_ways(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    guest, host = await meeting.hold()
    assert (guest.name, guest.person, guest.verified) == ("Ben", ben.peer.person, True)
    assert (host.name, host.person, host.verified) == ("Ana", ana.peer.person, True)
    assert meeting.host_screen.shown == meeting.guest_screen.shown
    await they_write(ana, ben)


async def test_nothing_of_an_addition_is_left_when_it_is_over(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    await befriend(ana, ben)
    for phone in (ana, ben):
        assert phone.rows("SELECT 1 FROM exchange") == []


async def test_an_addition_by_two_who_did_not_compare_is_unverified(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben, verified=False)
    guest, host = await meeting.hold()
    assert (guest.verified, host.verified) == (False, False)
    await they_write(ana, ben)


async def test_a_guest_without_a_gateway_is_added_and_can_write(house: Household) -> None:
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben")
    await befriend(ana, ben)
    assert not (await ben.peer.send("Ana", "from a phone without a box")).waiting
    assert [one.text for one in (await ana.peer.read()).letters] == ["from a phone without a box"]
    assert (await ana.peer.send("Ben", "until you have one")).waiting


async def test_who_has_no_gateway_cannot_show_a_code(house: Household) -> None:
    ana = await house.phone("Ana")
    with pytest.raises(NotPaired):
        await Meeting(ana, ana).show()


async def test_the_guest_shows_the_slot_no_login_and_the_host_no_side(house: Household) -> None:
    box, ana, ben = await pair_of(house)
    await befriend(ana, ben)
    written = {one.name: one.headers for one in box.line.requests if one.name in WRITES}
    assert sorted(written) == WRITES
    for name, headers in written.items():
        as_guest = name in (WRITES[0], WRITES[2])
        assert ("homepost-side" in headers) is as_guest
        assert ("authorization" in headers) is not as_guest


# Codes that are not to be taken


async def test_a_gateways_code_is_refused_where_a_contacts_is_wanted(house: Household) -> None:
    box, ana, _ = await pair_of(house)
    asked = len(box.line.requests)
    with pytest.raises(BadCode, match="the code of a gateway"):
        await ana.peer.add(box.show()[1], Screen().ask)
    assert len(box.line.requests) == asked
    nobody_was_added(ana)


async def test_a_contacts_code_is_refused_where_a_gateways_is_wanted(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    places = ben.peer.me.needs_home()
    with pytest.raises(BadCode, match="the code of a person"):
        await ben.peer.pair(code.text(), Screen().ask)
    assert ben.peer.me.needs_home() == places
    await end(showing)


@pytest.mark.parametrize("text", ["", "hello", "HPC1:", "HPC1:AAAA", "https://example.org/x"])
async def test_what_is_no_code_is_said_to_be_none(house: Household, text: str) -> None:
    ben = await house.phone("Ben")
    with pytest.raises(BadCode):
        await ben.peer.add(text, Screen().ask)


async def test_a_mistyped_code_is_noticed(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    text = (await meeting.shown).text()
    wrong = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]
    with pytest.raises(BadCode, match="mistyped"):
        await ben.peer.add(wrong, Screen().ask)
    await end(showing)


async def test_an_expired_code_is_refused_without_a_word_to_anybody(house: Household) -> None:
    box, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    await end(showing)
    house.hands.live(CONTACT_CODE_SECONDS + 1)
    asked = len(box.line.requests)
    with pytest.raises(BadCode, match=r"^this code is over; ask for a new one$"):
        await ben.peer.add(code.text(), Screen().ask)
    house.hands.live(86_400)  # as it is for whoever shows one with a clock a day behind
    with pytest.raises(BadCode, match="look at the clocks of both phones"):
        await ben.peer.add(code.text(), Screen().ask)
    assert len(box.line.requests) == asked
    nobody_was_added(ana, ben)


async def test_a_code_that_claims_to_hold_for_years_is_refused(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    await end(showing)
    far = ContactCode(code.person, code.commitment, code.slot, 2**32 - 1, code.gateway, code.place)
    with pytest.raises(BadCode):
        await ben.peer.add(far.text(), Screen().ask)
    nobody_was_added(ben)


async def test_nobody_adds_herself(house: Household) -> None:
    box, ana, _ = await pair_of(house)
    meeting = Meeting(ana, ana)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    asked = len(box.line.requests)
    async with open_peer(ana.home, now=house.hands.now) as beside:
        with pytest.raises(BadCode, match="your own"):
            await beside.add(code.text(), Screen().ask)
    await end(showing)
    assert not set(box.line.names()[asked:]) & set(WRITES)
    nobody_was_added(ana)


async def test_another_gateway_at_the_place_in_the_code_hears_nothing(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    other = await house.box()
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    await end(showing)
    elsewhere = ContactCode(
        code.person, code.commitment, code.slot, code.expires, code.gateway, other.place
    )
    with pytest.raises(WrongGateway):
        await ben.peer.add(elsewhere.text(), Screen().ask)
    assert other.line.requests == []
    nobody_was_added(ben)


async def test_a_gateway_that_is_not_there_is_said_and_the_same_code_works_later(
    house: Household,
) -> None:
    _, _, ben = await pair_of(house)
    box, carl = await house.box(), await house.phone("Carl")
    await box.pair(carl)
    meeting = Meeting(carl, ben)
    showing = asyncio.ensure_future(meeting.show())
    code = await meeting.shown
    elsewhere = house.dead_place()
    gone = ContactCode(
        code.person, code.commitment, code.slot, code.expires, code.gateway, elsewhere
    )
    with pytest.raises(GatewayNotThere, match=str(elsewhere)):
        await ben.peer.add(gone.text(), Screen().ask)
    nobody_was_added(ben)
    assert (await meeting.read()).name == "Carl"
    assert (await showing).name == "Ben"


# Check codes that differ


@pytest.mark.parametrize("refuser", ["host", "guest", "both"])
async def test_a_refused_check_code_adds_nobody_and_nothing_sealed_has_left_the_refuser(
    house: Household, refuser: str
) -> None:
    box, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben)
    meeting.host_screen.says = refuser == "guest"
    meeting.guest_screen.says = refuser == "host"
    of_ana, of_ben = await outcomes(meeting)
    assert isinstance(of_ana, NotTheSame)
    assert isinstance(of_ben, NotTheSame)
    # One byte says that it was refused; an introduction has four thousand.
    told = {"host": [WRITES[3]], "guest": [WRITES[2]], "both": WRITES[2:]}[refuser]
    for name in told:
        assert all(size <= 1 for size in box.line.sizes(name))
    assert all(size <= 1 for size in box.line.sizes(WRITES[3]))
    assert ana.peer.contacts.all() == ben.peer.contacts.all() == []
    for phone in (ana, ben):
        assert phone.rows("SELECT 1 FROM lane_taken") == []
        assert phone.rows("SELECT 1 FROM exchange") == []


async def test_after_a_refused_check_code_a_new_code_works(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben, guest_screen=Screen(says=False))
    await outcomes(meeting)
    await befriend(ana, ben)
    await they_write(ana, ben)


async def test_the_code_of_a_refused_addition_is_dead(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben, guest_screen=Screen(says=False))
    await outcomes(meeting)
    with pytest.raises((GatewayRefused, NotTheSame, BadCode)):
        await meeting.read()
    nobody_was_added(ben)


# Somebody between


async def test_other_keys_than_the_code_promised_end_it_before_the_guest_says_who_he_is(
    house: Household,
) -> None:
    box, ana, ben = await pair_of(house)
    box.line.changed[f"GET {SLOT}/2"] = lambda two: two[:-1] + bytes([two[-1] ^ 1])
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    with pytest.raises(BadCode):
        await meeting.read()
    assert meeting.guest_screen.shown == []
    assert WRITES[2] not in box.line.names()
    await end(showing)
    nobody_was_added(ana, ben)


async def test_who_answers_in_the_guests_place_shows_as_a_different_check_code(
    house: Household,
) -> None:
    box, ana, ben = await pair_of(house)
    lookers = Lookers()
    meeting = Meeting(ana, ben, host_ask=lookers["host"], guest_ask=lookers["guest"])

    def hers(one: bytes) -> bytes:
        return Guest.begin(meeting.shown.result()).message_one

    box.line.changed[WRITES[0]] = hers
    of_ana, of_ben = await outcomes(meeting)
    assert isinstance(of_ana, NotTheSame)
    assert isinstance(of_ben, NotTheSame)
    assert all(size <= 1 for name in WRITES[2:] for size in box.line.sizes(name))
    nobody_was_added(ana, ben)


async def test_who_answers_in_the_guests_place_gets_nothing_even_if_nobody_compares(
    house: Household,
) -> None:
    box, ana, ben = await pair_of(house)
    meeting = Meeting(ana, ben, verified=False)
    box.line.changed[WRITES[0]] = lambda one: Guest.begin(meeting.shown.result()).message_one
    reading = asyncio.ensure_future(meeting.read())
    with pytest.raises(BadCode):
        await meeting.show()
    await end(reading)
    assert box.line.sizes(WRITES[3]) in ([], [1])
    nobody_was_added(ana)
    assert ben.peer.contacts.all() == []


@pytest.mark.parametrize(("number", "victim"), [(3, "host"), (4, "guest")])
async def test_a_changed_introduction_adds_nobody(
    house: Household, number: int, victim: str
) -> None:
    box, ana, ben = await pair_of(house)
    box.line.changed[f"GET {SLOT}/{number}"] = lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])
    meeting = Meeting(ana, ben)
    fails, other = (
        (meeting.show, meeting.read) if victim == "host" else (meeting.read, meeting.show)
    )
    beside = asyncio.ensure_future(other())
    with pytest.raises(BadCode):
        await fails()
    await end(beside)
    assert (ana if victim == "host" else ben).peer.contacts.all() == []


async def test_a_second_guest_is_refused_and_the_first_is_added(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    carl = await house.phone("Carl")
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(number: int) -> bool:
        seen.set()
        await go_on.wait()
        return True

    meeting = Meeting(ana, ben, guest_ask=slowly)
    both = asyncio.ensure_future(meeting.hold())
    await seen.wait()
    with pytest.raises(GatewayRefused) as refusal:
        await carl.peer.add((await meeting.shown).text(), Screen().ask)
    assert refusal.value.reason == "slot-taken"
    assert "new one" in str(refusal.value)
    go_on.set()
    await both
    nobody_was_added(carl)
    await they_write(ana, ben)


async def test_nobody_comes_until_the_code_is_over(house: Household) -> None:
    _, ana, _ = await pair_of(house)

    async def on_code(code: ContactCode) -> None:
        house.hands.live(CONTACT_CODE_SECONDS - 0.5)

    with pytest.raises(NobodyAnswered):
        await ana.peer.show_card(on_code, Screen().ask)
    nobody_was_added(ana)


# The command that shows a code is ended, and called again


async def show_and_end(phone: Phone) -> ContactCode:
    """Show a code, and end the command before anybody has read it."""
    meeting = Meeting(phone, phone)
    showing = asyncio.ensure_future(meeting.show())
    code = await asyncio.shield(meeting.shown)
    await end(showing)
    return code


async def test_whoever_ends_the_command_and_shows_again_shows_the_same_code(
    house: Household,
) -> None:
    """A seat has three slots open at most: a person who tries five times is not shut out."""
    _, ana, ben = await pair_of(house)
    codes = [await show_and_end(ana) for _ in range(5)]
    meeting = Meeting(ana, ben)
    await meeting.hold()

    assert {*codes, await meeting.shown} == {codes[0]}
    await they_write(ana, ben)


async def test_a_code_that_is_soon_over_is_not_shown_again(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    first = await show_and_end(ana)
    house.hands.live(CONTACT_CODE_SECONDS / 2)
    meeting = Meeting(ana, ben)
    await meeting.hold()

    assert (await meeting.shown).slot != first.slot


async def test_two_commands_at_once_show_two_codes(house: Household) -> None:
    _, ana, _ = await pair_of(house)
    async with AsyncExitStack() as stack:
        beside = await also(stack, ana)
        shown = [Meeting(ana, ana), Meeting(beside, beside)]
        showing = [asyncio.ensure_future(one.show()) for one in shown]
        codes = {(await asyncio.shield(one.shown)).slot for one in shown}
        await end(*showing)

    assert len(codes) == 2


async def test_a_code_that_was_used_is_not_shown_again(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    first, second = Meeting(ana, ben), Meeting(ana, ben)
    await first.hold()
    await second.hold()

    assert (await first.shown).slot != (await second.shown).slot


# Lost answers and dead batteries


async def persistently(step: Callable[[], Awaitable[Contact]], *, tries: int = 3) -> Contact:
    """Do as a person does: the same again, with the same code, when the gateway was not there."""
    for _ in range(tries - 1):
        try:
            return await step()
        except GatewayNotThere:
            continue
    return await step()


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_whose_answer_is_lost_is_repeated_word_for_word(
    house: Household, name: str, when: When
) -> None:
    box, ana, ben = await pair_of(house)
    lost = box.line.lose(name, when=when, times=2)  # the second time even where HTTP tries again
    meeting = Meeting(ana, ben)
    async with asyncio.timeout(PATIENCE):
        guest, host = await together(persistently(meeting.show), persistently(meeting.read))
    assert all(one.happened.is_set() for one in lost)
    assert (guest.name, host.name) == ("Ben", "Ana")
    assert len({number for number in meeting.host_screen.shown + meeting.guest_screen.shown}) == 1
    assert box.line.names().count(name) >= 3
    await they_write(ana, ben)


def of_guest(request: Request) -> bool:
    """Whether a request at the host's box is the guest's."""
    return request.name in (WRITES[0], f"GET {SLOT}/2", WRITES[2], f"GET {SLOT}/4")


def of_host(request: Request) -> bool:
    """Whether a request at the host's box is the host's, and about the addition."""
    aside = ("/v1/archive", "/v1/state", "/v1/person-key", "/v1/push")
    return not of_guest(request) and not request.name.partition(" ")[2].startswith(aside)


GUEST_STEPS, HOST_STEPS = 4, 8
HOST_HEARS = 4
"""The first of her steps at which she has heard message 1 and stored it."""


async def test_the_steps_of_an_addition_are_counted_right(house: Household) -> None:
    """What the next tests rely on when they pull a battery at every one."""
    box, ana, ben = await pair_of(house)
    before = len(box.line.requests)
    await befriend(ana, ben)
    seen = box.line.requests[before:]
    assert [one.name for one in seen if of_guest(one)] == [
        WRITES[0], f"GET {SLOT}/2", WRITES[2], f"GET {SLOT}/4",
    ]  # fmt: skip
    assert [one.name for one in seen if of_host(one)] == [
        "POST /v1/challenge", "POST /v1/login", f"POST {SLOT}", f"GET {SLOT}/1", WRITES[1],
        f"GET {SLOT}/3", "PUT /v1/lanes", WRITES[3],
    ]  # fmt: skip


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("step", range(GUEST_STEPS))
async def test_a_guest_whose_battery_dies_goes_on_with_the_same_code(
    house: Household, step: int, when: When
) -> None:
    box, ana, ben = await pair_of(house)
    died = box.line.hold(step, by=of_guest, when=when)
    meeting = Meeting(ana, ben)
    showing, reading = (asyncio.ensure_future(one()) for one in (meeting.show, meeting.read))
    async with asyncio.timeout(PATIENCE):
        await died.happened.wait()
        await ben.pull_battery(reading)
        host = await meeting.read()
        guest = await showing
    assert (guest.name, host.name) == ("Ben", "Ana")
    assert len(set(meeting.host_screen.shown + meeting.guest_screen.shown)) == 1
    await they_write(ana, ben)


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("step", range(2, HOST_HEARS))
async def test_a_host_whose_battery_dies_before_she_heard_anybody_goes_on_with_her_code(
    house: Household, step: int, when: When
) -> None:
    box, ana, ben = await pair_of(house)
    died = box.line.hold(step, by=of_host, when=when)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    reading = asyncio.ensure_future(meeting.read())
    async with asyncio.timeout(PATIENCE):
        await died.happened.wait()
        await ana.pull_battery(showing)
        await end(reading)
        again = await befriend(ana, ben)
    if meeting.shown.done():
        assert again.shown.result() == meeting.shown.result()
    await they_write(ana, ben)


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("step", range(HOST_HEARS, HOST_STEPS))
async def test_a_host_whose_battery_dies_goes_on_with_the_same_code(
    house: Household, step: int, when: When
) -> None:
    box, ana, ben = await pair_of(house)
    died = box.line.hold(step, by=of_host, when=when)
    meeting = Meeting(ana, ben)
    showing = asyncio.ensure_future(meeting.show())
    reading = asyncio.ensure_future(meeting.read())
    async with asyncio.timeout(PATIENCE):
        await died.happened.wait()
        await ana.pull_battery(showing)
        if (step, when) == (HOST_STEPS - 1, When.AFTER):
            host = await reading  # all was written: whether the host knows it or not
            guest = ana.peer.contacts.named("Ben")
        else:
            guest, host = await together(meeting.show(), reading)
    assert (guest.name, host.name) == ("Ben", "Ana")
    assert len(set(meeting.host_screen.shown + meeting.guest_screen.shown)) == 1
    await they_write(ana, ben)


async def test_another_command_beside_does_not_take_over_an_addition_that_goes_on(
    house: Household,
) -> None:
    _, ana, ben = await pair_of(house)
    carl = await house.phone("Carl")
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(number: int) -> bool:
        seen.set()
        await go_on.wait()
        return True

    first = Meeting(ana, ben, host_ask=slowly)
    under_way = asyncio.ensure_future(first.hold())
    await seen.wait()
    async with AsyncExitStack() as stack:
        second = await befriend(await also(stack, ana), carl)
    assert second.shown.result().slot != first.shown.result().slot
    go_on.set()
    await under_way
    assert [one.name for one in ana.peer.contacts.all()] == ["Ben", "Carl"]


# Twice, and crosswise


async def test_adding_somebody_again_leaves_one_contact_and_letters_go_both_ways(
    house: Household,
) -> None:
    _, ana, ben = await pair_of(house)
    for host, guest in ((ana, ben), (ana, ben), (ben, ana)):
        await befriend(host, guest)
        await they_write(ana, ben, tag=host.name)
    for phone in (ana, ben):
        assert len(phone.peer.contacts.all()) == 1


async def test_adding_again_keeps_names_and_what_was_compared(house: Household) -> None:
    _, ana, ben = await pair_of(house)
    await befriend(ana, ben)
    ana.peer.rename("Ben", "Benjamin")
    again = Meeting(ana, ben, verified=False)
    guest, _ = await again.hold()
    assert (guest.name, guest.verified) == ("Benjamin", True)


async def test_comparing_later_verifies_somebody_who_was_added_unverified(
    house: Household,
) -> None:
    _, ana, ben = await pair_of(house)
    await Meeting(ana, ben, verified=False).hold()
    await befriend(ben, ana)
    assert ana.peer.contacts.named("Ben").verified
    assert ben.peer.contacts.named("Ana").verified


async def test_a_letter_that_waits_while_its_reader_is_added_again_still_comes(
    house: Household,
) -> None:
    _, ana, ben = await pair_of(house)
    await befriend(ana, ben)
    await ana.peer.send("Ben", "before")
    await befriend(ben, ana)
    await ana.peer.send("Ben", "after")
    assert [one.text for one in (await ben.peer.read()).letters] == ["before", "after"]


@pytest.mark.parametrize("first", ["hers", "his"])
async def test_two_who_add_each_other_crosswise_at_once_can_write_both_ways(
    house: Household, first: str
) -> None:
    """Both exchanges are under way when one of them ends; each side ends with the same keys."""
    _, ana, ben = await pair_of(house)
    async with AsyncExitStack() as stack:
        beside = [await also(stack, one) for one in (ana, ben)]
        ended = asyncio.Event()
        seen = asyncio.Event()

        async def later(number: int) -> bool:
            seen.set()
            await ended.wait()
            return True

        slow = Meeting(ana, ben, guest_ask=later)
        quick = Meeting(beside[1], beside[0])
        if first == "his":
            slow, quick = Meeting(ben, ana, guest_ask=later), Meeting(beside[0], beside[1])
        under_way = asyncio.ensure_future(slow.hold())
        await seen.wait()
        await quick.hold()
        ended.set()
        await under_way
    await they_write(ana, ben, tag="1")
    await they_write(ben, ana, tag="2")
    assert [len(one.peer.contacts.all()) for one in (ana, ben)] == [1, 1]


async def also(stack: AsyncExitStack, phone: Phone) -> Phone:
    """Open the same phone once more, as another command on it does."""
    beside: Any = Phone(phone.name, phone.home, phone.hands)
    await beside.open()
    stack.push_async_callback(beside.close)
    assert isinstance(beside, Phone)
    return beside
