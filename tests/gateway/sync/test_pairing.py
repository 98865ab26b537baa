"""The life of one pairing code."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.sync.pairing import (
    COMPARE_SECONDS,
    Code,
    CodeExpired,
    CodeUsed,
    Stage,
    TooManyTries,
    fingerprint,
)
from tests.gateway.phones import asks
from wire.auth import Channel
from wire.ids import GatewayId
from wire.pairing import MAX_TRIES, PairingState, PairRequest

SECRET = b"secret of a code"
NONCE = b"the gateway says"
SECONDS = 120.0
CHANNEL = Channel(GatewayId(b"g" * 32), b"c" * 32)
ANNA = asks(SECRET, channel=CHANNEL)
ANNA_AGREES = replace(ANNA, confirmed=True)
THIEF = asks(SECRET, channel=CHANNEL)
GUESS = asks(b"g" * 16, channel=CHANNEL)


@pytest.fixture
def code() -> Code:
    return Code(SECRET, now=0.0, seconds=SECONDS)


@pytest.fixture
def compared(code: Code) -> Code:
    """A code that Anna's phone has answered at 10 s."""
    code.begin(ANNA, nonce=NONCE, now=10.0)
    return code


def test_a_code_is_open_until_its_time_is_over(code: Code) -> None:
    assert code.stage(SECONDS - 0.1) is Stage.OPEN
    assert code.left(20.0) == 100.0
    assert code.stage(SECONDS) is Stage.EXPIRED
    assert code.left(SECONDS) == 0.0


def test_only_a_request_made_with_the_code_at_this_gateway_fits(code: Code) -> None:
    elsewhere = Channel(GatewayId(b"x" * 32), b"c" * 32)

    assert code.fits(ANNA, channel=CHANNEL)
    assert not code.fits(GUESS, channel=CHANNEL)
    assert not code.fits(ANNA, channel=elsewhere)
    assert not code.fits(replace(ANNA, exchange_key=b"x" * 32), channel=CHANNEL)


def test_the_first_request_is_shown_to_be_compared(compared: Code) -> None:
    assert compared.stage(10.0) is Stage.COMPARE
    assert compared.check_number == ANNA.check_number(nonce=NONCE)
    assert compared.answer(ANNA, now=11.0) is PairingState.WAITING


def test_before_that_there_is_nothing_to_compare(code: Code) -> None:
    assert code.check_number is None
    with pytest.raises(CodeExpired):
        code.answer(ANNA, now=1.0)


@pytest.mark.parametrize("owner_first", [True, False])
def test_both_sides_must_say_yes(compared: Code, owner_first: bool) -> None:
    if owner_first:
        compared.owner_says(True, now=11.0)
        assert not compared.agreed(11.0)
        compared.answer(ANNA_AGREES, now=12.0)
    else:
        compared.answer(ANNA_AGREES, now=11.0)
        assert not compared.agreed(11.0)
        compared.owner_says(True, now=12.0)

    assert compared.agreed(12.0)
    compared.enrolled()
    assert compared.answer(ANNA, now=13.0) is PairingState.PAIRED


def test_a_request_without_the_yes_does_not_take_it_back(compared: Code) -> None:
    compared.answer(ANNA_AGREES, now=11.0)
    compared.answer(ANNA, now=12.0)
    compared.owner_says(True, now=13.0)

    assert compared.agreed(13.0)


def test_the_owners_no_is_the_end_even_after_his_yes(compared: Code) -> None:
    compared.owner_says(True, now=11.0)
    compared.owner_says(False, now=12.0)
    compared.owner_says(True, now=13.0)
    compared.answer(ANNA_AGREES, now=13.0)

    assert not compared.agreed(13.0)
    assert compared.answer(ANNA, now=14.0) is PairingState.REFUSED


def test_the_owner_can_end_a_code_that_nobody_has_answered(code: Code) -> None:
    code.owner_says(False, now=1.0)

    assert code.stage(1.0) is Stage.REFUSED


def test_the_owner_cannot_say_yes_to_nobody(code: Code) -> None:
    code.owner_says(True, now=1.0)
    code.begin(ANNA_AGREES, nonce=NONCE, now=2.0)
    code.answer(ANNA_AGREES, now=2.0)

    assert not code.agreed(2.0)


def test_whoever_comes_second_with_the_code_is_told_that_it_was_used(compared: Code) -> None:
    with pytest.raises(CodeUsed):
        compared.answer(THIEF, now=11.0)
    assert compared.answer(ANNA, now=12.0) is PairingState.WAITING


def test_a_second_request_cannot_take_the_place_of_the_first(compared: Code) -> None:
    compared.begin(THIEF, nonce=NONCE, now=11.0)

    assert compared.request == ANNA


def test_the_fifth_wrong_try_burns_an_open_code(code: Code) -> None:
    for number in range(MAX_TRIES - 1):
        code.wrong_try(float(number))
        assert code.stage(float(number)) is Stage.OPEN
    code.wrong_try(9.0)
    code.begin(ANNA, nonce=NONCE, now=10.0)

    assert code.stage(9.0) is Stage.BURNT
    with pytest.raises(TooManyTries):
        code.answer(ANNA, now=10.0)


def test_wrong_tries_cannot_break_up_a_pairing_that_has_begun(compared: Code) -> None:
    for _ in range(100):
        compared.wrong_try(11.0)

    assert compared.stage(11.0) is Stage.COMPARE


def test_a_code_that_ran_out_takes_nobody(code: Code) -> None:
    code.begin(ANNA, nonce=NONCE, now=SECONDS)

    with pytest.raises(CodeExpired):
        code.answer(ANNA, now=SECONDS)


def test_comparing_has_a_time_of_its_own(compared: Code) -> None:
    assert compared.stage(10.0 + COMPARE_SECONDS - 0.1) is Stage.COMPARE
    assert compared.stage(10.0 + COMPARE_SECONDS) is Stage.EXPIRED
    assert compared.answer(ANNA_AGREES, now=10.0 + COMPARE_SECONDS) is PairingState.REFUSED


def test_a_code_ends_when_a_newer_one_is_shown(compared: Code) -> None:
    compared.replace(11.0)

    assert compared.stage(11.0) is Stage.EXPIRED
    assert compared.answer(ANNA_AGREES, now=12.0) is PairingState.REFUSED


def test_a_seat_that_reached_the_disk_late_is_a_seat(compared: Code) -> None:
    compared.answer(ANNA_AGREES, now=11.0)
    compared.owner_says(True, now=11.0)
    compared.stage(1000.0)
    compared.enrolled()

    assert compared.answer(ANNA, now=1001.0) is PairingState.PAIRED


def test_the_end_stays_the_end(compared: Code) -> None:
    compared.enrolled()
    compared.refuse(11.0)
    compared.replace(11.0)
    compared.owner_says(False, now=11.0)

    assert compared.stage(1e9) is Stage.PAIRED


def test_a_request_is_known_again_whether_confirmed_or_not() -> None:
    assert fingerprint(ANNA) == fingerprint(ANNA_AGREES)
    assert fingerprint(ANNA) != fingerprint(THIEF)
    assert fingerprint(ANNA) != fingerprint(replace(ANNA, chain=(*ANNA.chain, b"more")))


class CodeMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, only the first phone is paired, after two yeses."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.code = Code(SECRET, now=0.0, seconds=SECONDS)
        self.first: PairRequest | None = None
        self.phone_said_yes = False
        self.owner_said_yes = False
        self.somebody_said_no = False
        self.ended: Stage | None = None

    @rule(seconds=st.sampled_from([0.0, 1.0, 59.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(request=st.sampled_from([ANNA, ANNA_AGREES, THIEF, replace(THIEF, confirmed=True)]))
    def phone_asks(self, request: PairRequest) -> None:
        was_open = self.code.stage(self.now) is Stage.OPEN
        self.code.begin(request, nonce=NONCE, now=self.now)
        if was_open:
            self.first = request
        comparing = self.code.stage(self.now) is Stage.COMPARE
        try:
            self.code.answer(request, now=self.now)
        except CodeUsed:
            assert self.first is not None
            assert self.first.mac != request.mac
        except (CodeExpired, TooManyTries):
            assert self.first is None
        else:
            assert self.first is not None
            assert self.first.mac == request.mac
            self.phone_said_yes |= request.confirmed and comparing

    @rule()
    def somebody_guesses(self) -> None:
        self.code.wrong_try(self.now)

    @rule(same=st.booleans())
    def owner_says(self, same: bool) -> None:
        stage = self.code.stage(self.now)
        self.code.owner_says(same, now=self.now)
        if not same and not stage.ended:
            self.somebody_said_no = True
        elif same and stage is Stage.COMPARE:
            self.owner_said_yes = True

    @rule()
    def phone_refuses(self) -> None:
        if not self.code.stage(self.now).ended:
            self.code.refuse(self.now)
            self.somebody_said_no = True

    @rule()
    def seat_is_stored(self) -> None:
        if self.code.agreed(self.now):
            self.code.enrolled()

    @invariant()
    def a_seat_needs_two_yeses_and_no_no(self) -> None:
        stage = self.code.stage(self.now)
        if stage is Stage.PAIRED:
            assert self.phone_said_yes
            assert self.owner_said_yes
            assert not self.somebody_said_no
        if self.somebody_said_no:
            assert stage is Stage.REFUSED

    @invariant()
    def an_end_is_an_end(self) -> None:
        stage = self.code.stage(self.now)
        assert self.ended in (None, stage)
        if stage.ended:
            self.ended = stage


TestCodeMachine = CodeMachine.TestCase
TestCodeMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
