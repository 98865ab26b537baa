"""Coming back over real connections."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sync.recovery_routes import TRIES
from tests.gateway.served import Answer, Handset, Served, Visitor, open_served
from tests.gateway.sync.people import Person, Phone
from wire.auth import Login
from wire.codec import decode
from wire.ids import DeviceId, PersonId
from wire.recovery import RELEASE_SECONDS, Alarm, Ask, Left, Recover, RootProof, Stage, Told

KEY = b"k" * 32
LEFT = Left(KEY, b"the share", b"n" * 16)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


async def recovers(visitor: Visitor, person: Person, phone: Phone, *, epoch: int = 2) -> Answer:
    """Bring a root statement that lists `phone`."""
    message = Recover.make(
        phone.signing,
        person=person.id,
        statement=person.root_statement(phone, epoch=epoch),
        channel=visitor.served.channel,
        nonce=await visitor.nonce(),
    )
    return await visitor.ask("POST", "/v1/recover", message.encode())


async def asks(
    visitor: Visitor,
    person: PersonId,
    exchange: bytes,
    *lost: DeviceId,
    key: bytes = KEY,
) -> Answer:
    """Ask for the share of a person."""
    message = Ask.make(
        key,
        person=person,
        exchange_key=exchange,
        lost=lost,
        channel=visitor.served.channel,
        nonce=await visitor.nonce(),
    )
    return await visitor.ask("POST", "/v1/recovery/ask", message.encode())


async def leaves(handset: Handset) -> None:
    """Leave a share."""
    assert (await handset.ask("PUT", "/v1/recovery/share", LEFT.encode())).status == 204


async def alarm(handset: Handset) -> Alarm:
    """Look whether somebody has asked."""
    answer = await handset.ask("GET", "/v1/recovery")
    assert answer.status == 200, answer
    return Alarm.decode(answer.data)


async def test_a_new_device_takes_the_seat_and_the_old_one_is_cut_off(served: Served) -> None:
    """A9, R3: within the same second, and without the owner of the box."""
    ana, new = await served.enrolled(), Phone()
    line = await ana.live()
    visitor = await served.visitor()

    answer = await recovers(visitor, ana.person, new)

    assert answer.status == 204, answer
    assert await line.farewell() == "revoked"
    assert (await ana.login()).code == "revoked"
    login = Login.sign(new.signing, channel=served.channel, nonce=await visitor.nonce())
    assert (await visitor.ask("POST", "/v1/login", login.encode())).status == 200


async def test_the_card_is_given_to_the_root_key(served: Served) -> None:
    ana, visitor = await served.enrolled(), await served.visitor()

    async def shown(root: Person, nonce: bytes | None = None) -> Answer:
        proof = RootProof.make(
            root.root,
            person=ana.person.id,
            channel=served.channel,
            nonce=nonce or await visitor.nonce(),
            purpose="recover-card",
        )
        return await visitor.ask("POST", "/v1/recover/card", proof.encode())

    nonce = await visitor.nonce()
    assert decode((await shown(ana.person, nonce)).data, limit=8192) == list(ana.person.card.chain)
    assert (await shown(ana.person, nonce)).code == "challenge-stale"
    assert (await shown(Person(Phone()))).code == "recovery-refused"


async def test_a_wrong_kit_is_refused_and_makes_nothing(served: Served) -> None:
    """R3."""
    await served.enrolled()
    answer = await recovers(await served.visitor(), Person(phone := Phone()), phone)

    assert (answer.status, answer.code) == (403, "recovery-refused")
    assert await served.gateway.seat_count() == 1


async def test_a_thousand_wrong_tries_are_throttled(served: Served) -> None:
    """CY-10: ten of a network are looked at in a minute, and then not even the right one."""
    ana, visitor = await served.enrolled(), await served.visitor()
    await leaves(ana)
    person, exchange = ana.person.id, Phone().exchange

    answers = [
        (await asks(visitor, person, exchange, key=secrets.token_bytes(32))).code
        for _ in range(1000)
    ]

    assert answers.count("recovery-refused") <= TRIES + 2  # some run out meanwhile
    assert set(answers) == {"recovery-refused", "too-many-requests"}
    assert (await asks(visitor, person, exchange)).code == "too-many-requests"
    assert (await alarm(ana)).asked == ()


async def test_friends_get_the_share_after_three_days_and_every_device_sees_it(
    served: Served,
) -> None:
    """R4: who is connected is sent to look at once."""
    ana, visitor = await served.enrolled(), await served.visitor()
    await leaves(ana)
    line, exchange = await ana.live(), Phone().exchange

    told = Told.decode((await asks(visitor, ana.person.id, exchange)).data)

    assert (told.stage, told.share) == (Stage.WAITING, b"")
    assert await line.farewell() == "going-away"
    [asked] = (await alarm(ana)).asked
    assert (asked.request, asked.exchange_key) == (told.request, exchange)
    keeper = await (await served.visitor()).ask("POST", "/v1/recovery/notice", LEFT.notice)
    assert Alarm.decode(keeper.data).asked == (asked,)
    stranger = await (await served.visitor()).ask("POST", "/v1/recovery/notice", b"?")
    assert Alarm.decode(stranger.data).asked == ()
    served.hands.live(RELEASE_SECONDS)
    told = Told.decode((await asks(visitor, ana.person.id, exchange)).data)
    assert (told.stage, told.share) == (Stage.RELEASED, b"the share")


async def test_a_device_that_was_not_named_cancels_and_one_that_was_needs_the_kit(
    served: Served,
) -> None:
    """R4."""
    ana, visitor = await served.enrolled(), await served.visitor()
    await leaves(ana)
    lost, person = ana.phone.key.device, ana.person.id
    first = Told.decode((await asks(visitor, person, Phone().exchange)).data)
    second = Told.decode((await asks(visitor, person, Phone().exchange, lost)).data)

    async def cancels(about: bytes, root: Person) -> Answer:
        proof = RootProof.make(
            root.root,
            person=person,
            channel=served.channel,
            nonce=await visitor.nonce(),
            purpose="recovery-cancel",
            about=about,
        )
        return await visitor.ask("POST", "/v1/recovery/cancel", proof.encode())

    assert (await ana.ask("POST", "/v1/recovery/cancel", first.request.raw)).status == 204
    refused = await ana.ask("POST", "/v1/recovery/cancel", second.request.raw)
    assert (refused.status, refused.code) == (403, "named-lost")
    assert (await ana.ask("DELETE", "/v1/recovery/share")).code == "recovery-under-way"
    assert (await cancels(second.request.raw, Person(Phone()))).code == "recovery-refused"
    assert (await cancels(second.request.raw, ana.person)).status == 204
    assert [one.stage for one in (await alarm(ana)).asked] == [Stage.CANCELLED] * 2
    assert (await cancels(b"?" * 16, ana.person)).code == "no-such-request"
    assert (await ana.ask("DELETE", "/v1/recovery/share")).status == 204
    assert not (await alarm(ana)).kept
