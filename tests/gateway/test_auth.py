"""Who is asking: nonces that are good once, logins that are over soon."""

import asyncio
import secrets
from dataclasses import dataclass, field

import pytest
from nacl.signing import SigningKey
from werkzeug.datastructures import Headers

from gateway.auth import (
    BEARERS_OF_DEVICE,
    MAX_SPENT,
    Auth,
    Challenges,
    ChallengeStale,
    LoginNeeded,
    LoginRefused,
)
from gateway.errors import Busy, DeviceRevoked, DeviceUnknown
from gateway.visit import STATE, DepositWithLogin, Kind, Visit
from tests.gateway.hands import Hands
from tests.gateway.served import spelled
from wire.auth import BEARER_SECONDS, CHALLENGE_SECONDS, Channel, Joining, Login
from wire.errors import Malformed
from wire.ids import DeviceKey, GatewayId, PersonId, SeatId

CHANNEL = Channel(GatewayId(b"G" * 32), b"c" * 32)
SEAT = SeatId(b"s" * 16)
PERSON = PersonId(b"p" * 32)


@dataclass
class Asked:
    """A request, as far as it says who asks."""

    headers: Headers = field(default_factory=Headers)
    scope: dict[str, object] = field(default_factory=dict)


@dataclass
class Desk:
    """Auth with a clock, and one device that it knows."""

    hands: Hands = field(default_factory=Hands)
    key: SigningKey = field(default_factory=SigningKey.generate)
    revoked: bool = False
    looking: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.auth = Auth(channel=CHANNEL, clock=self.hands, seat_of=self.seat_of, joins=self.join)

    @property
    def device(self) -> DeviceKey:
        return DeviceKey(bytes(self.key.verify_key))

    async def seat_of(self, device: DeviceKey) -> SeatId:
        if device != self.device:
            raise DeviceUnknown
        if self.looking is not None:
            looking, self.looking = self.looking, None
            await looking.wait()
        if self.revoked:
            raise DeviceRevoked
        return SEAT

    async def join(self, person: PersonId, device: DeviceKey) -> None:
        if person != PERSON or device != self.device:
            raise DeviceUnknown

    def joining(
        self,
        *,
        person: PersonId | None = None,
        key: SigningKey | None = None,
        nonce: bytes | None = None,
        channel: Channel = CHANNEL,
    ) -> bytes:
        nonce = nonce or self.auth.challenges.give()
        return Joining.sign(
            key or self.key, person=person or PERSON, channel=channel, nonce=nonce
        ).encode()

    def answer(
        self,
        *,
        key: SigningKey | None = None,
        nonce: bytes | None = None,
        channel: Channel = CHANNEL,
    ) -> bytes:
        nonce = nonce or self.auth.challenges.give()
        return Login.sign(key or self.key, channel=channel, nonce=nonce).encode()

    async def login(self) -> bytes:
        return await self.auth.login(self.answer())

    def caller(self, bearer: bytes, **scope: object) -> SeatId:
        asked = Asked(Headers({"Authorization": f"Bearer {spelled(bearer)}"}), dict(scope))
        return self.auth.caller(asked).seat


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_device_that_answers_is_known_by_its_bearer(desk: Desk) -> None:
    assert desk.caller(await desk.login()) == SEAT


async def test_a_login_is_over_after_a_quarter_of_an_hour(desk: Desk) -> None:
    bearer = await desk.login()
    desk.hands.live(BEARER_SECONDS)
    assert desk.caller(bearer) == SEAT

    desk.hands.live(1)
    with pytest.raises(LoginNeeded):
        desk.caller(bearer)


async def test_an_answer_is_good_once(desk: Desk) -> None:
    answer = desk.answer()
    await desk.auth.login(answer)

    with pytest.raises(ChallengeStale):
        await desk.auth.login(answer)


async def test_an_answer_given_twice_at_once_is_good_once(desk: Desk) -> None:
    answer = desk.answer()

    both = await asyncio.gather(
        desk.auth.login(answer), desk.auth.login(answer), return_exceptions=True
    )

    assert sum(isinstance(one, bytes) for one in both) == 1
    assert sum(isinstance(one, ChallengeStale) for one in both) == 1


async def test_an_answer_that_comes_late_is_refused(desk: Desk) -> None:
    answer = desk.answer()
    desk.hands.live(CHALLENGE_SECONDS + 1)

    with pytest.raises(ChallengeStale):
        await desk.auth.login(answer)


async def test_a_nonce_that_we_never_gave_is_refused(desk: Desk) -> None:
    given = desk.auth.challenges.give()
    for nonce in (
        secrets.token_bytes(32),
        bytes(32),
        given[:31] + bytes([given[31] ^ 1]),
        bytes([given[0] ^ 1]) + given[1:],
        Challenges(desk.hands).give(),  # another process of ours
    ):
        with pytest.raises(ChallengeStale):
            await desk.auth.login(desk.answer(nonce=nonce))


def test_a_nonce_does_not_tell_how_long_the_machine_has_been_up() -> None:
    hands = Hands()
    challenges = Challenges(hands)
    given = [challenges.give() for _ in range(200)]

    for place in range(32):  # each byte takes many values, although it is the same moment
        assert len({one[place] for one in given}) > 50


def _with_a_bit_turned(answer: bytes) -> bytes:
    """Return another signature; a fixed last byte would be the right one now and then."""
    return answer[:-1] + bytes([answer[-1] ^ 1])


async def test_everything_that_does_not_fit_is_refused_alike(desk: Desk) -> None:
    elsewhere = Channel(GatewayId(b"H" * 32), CHANNEL.certificate_hash)
    forwarded = Channel(CHANNEL.gateway, b"d" * 32)
    for answer in (
        desk.answer(key=SigningKey.generate()),
        desk.answer(channel=elsewhere),
        desk.answer(channel=forwarded),
        _with_a_bit_turned(desk.answer()),
    ):
        with pytest.raises(LoginRefused) as refused:
            await desk.auth.login(answer)
        assert refused.value.facts() == {}


async def test_bytes_that_are_no_login_are_called_so(desk: Desk) -> None:
    with pytest.raises(Malformed):
        await desk.auth.login(b"no login")


async def test_a_revoked_device_that_proves_its_key_is_told_so(desk: Desk) -> None:
    desk.revoked = True

    with pytest.raises(DeviceRevoked):
        await desk.login()


async def test_a_revoked_device_loses_its_logins_at_once(desk: Desk) -> None:
    bearer = await desk.login()

    desk.auth.drop(lambda caller: caller.device == desk.device)

    with pytest.raises(LoginNeeded):
        desk.caller(bearer)


async def test_a_device_revoked_while_it_logs_in_gets_no_bearer(desk: Desk) -> None:
    looking = desk.looking = asyncio.Event()
    login = asyncio.create_task(desk.login())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    looked_before = desk.looking is None
    desk.auth.drop(lambda caller: caller.device == desk.device)
    looking.set()
    desk.revoked = True

    assert looked_before
    with pytest.raises(DeviceRevoked):
        await login


async def test_a_device_that_logs_in_again_and_again_loses_only_its_own_oldest_login(
    desk: Desk,
) -> None:
    bearers = [await desk.login() for _ in range(BEARERS_OF_DEVICE + 1)]

    with pytest.raises(LoginNeeded):
        desk.caller(bearers[0])
    assert [desk.caller(one) for one in bearers[1:]] == [SEAT] * BEARERS_OF_DEVICE


async def test_a_flood_of_challenges_and_wrong_answers_is_not_remembered(desk: Desk) -> None:
    early = desk.answer()
    for _ in range(2000):
        desk.auth.challenges.give()
        with pytest.raises(LoginRefused):
            await desk.auth.login(desk.answer(channel=Channel(CHANNEL.gateway, b"d" * 32)))

    assert len(desk.auth.challenges._spent) == 0
    await desk.auth.login(early)


def test_more_right_answers_than_can_be_remembered_are_put_off() -> None:
    hands = Hands()
    challenges = Challenges(hands)
    for _ in range(MAX_SPENT):
        challenges.spend(challenges.give())
    late = challenges.give()

    with pytest.raises(Busy):
        challenges.spend(late)
    hands.live(CHALLENGE_SECONDS + 1)
    challenges.spend(challenges.give())


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic eDp5", "bearer " + "A" * 43, "Bearer " + "A" * 43]
)
def test_a_header_that_is_no_login_of_ours_needs_one(desk: Desk, header: str) -> None:
    asked = Asked(Headers({"Authorization": header}))

    with pytest.raises(LoginNeeded):
        desk.auth.caller(asked)


async def test_a_login_is_not_taken_where_a_lane_was_shown(desk: Desk) -> None:
    visit = Visit()
    visit.is_for(Kind.LANE)
    bearer = await desk.login()

    with pytest.raises(DepositWithLogin):
        desk.caller(bearer, state={STATE: visit})


async def test_what_is_kept_of_a_bearer_is_not_the_bearer(desk: Desk) -> None:
    bearer = await desk.login()

    assert bearer not in desk.auth._sessions
    assert len(desk.auth._sessions) == 1


async def test_a_device_that_is_let_in_is_logged_in_with_it() -> None:
    desk = Desk()

    assert desk.caller(await desk.auth.join(desk.joining())) == SEAT


async def test_joining_fits_one_person_key_gateway_and_nonce() -> None:
    desk = Desk()
    used = desk.joining()
    await desk.auth.join(used)

    with pytest.raises(ChallengeStale):
        await desk.auth.join(used)
    for wrong in (
        desk.joining(person=PersonId(b"q" * 32)),
        desk.joining(key=SigningKey.generate()),
        desk.joining(channel=Channel(GatewayId(b"H" * 32), b"c" * 32)),
        desk.joining().replace(PERSON.raw, b"q" * 32),
    ):
        with pytest.raises(LoginRefused):
            await desk.auth.join(wrong)
    with pytest.raises(Malformed):
        await desk.auth.join(desk.answer())
