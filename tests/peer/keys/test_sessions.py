from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.keys.errors import Broken, Downgraded, KeysError
from peer.keys.person import Device
from peer.keys.primitives import Encapsulation, Exchange, system_random
from peer.keys.ratchet import MAX_SKIPPED
from peer.keys.sessions import (
    DAY,
    FRESH_AFTER,
    Agreement,
    Party,
    Prekeys,
    PrekeySecrets,
    Session,
    SessionId,
    SetUp,
    about,
    choose,
    initiate,
    respond,
)
from wire.codec import encode
from wire.errors import WireError
from wire.ids import DeviceKey, PersonId
from wire.prekeys import PrekeyKind

ANA, BEN = Device.generate(system_random), Device.generate(system_random)
ANAS = Party(PersonId(b"a" * 32), ANA.key, ANA.exchange.public)
BENS = Party(PersonId(b"b" * 32), BEN.key, BEN.exchange.public)
SECRETS = PrekeySecrets(
    Exchange.generate(system_random),
    Encapsulation.generate(system_random),
    Exchange.generate(system_random),
)
NOW = 1_000_000.0


def _prekeys(*, one_time: bool = True) -> Prekeys:
    assert SECRETS.one_time is not None
    return Prekeys(
        (1, SECRETS.signed.public),
        (2, SECRETS.kem.public),
        PrekeyKind.ONE_TIME_KEM,
        (3, SECRETS.one_time.public) if one_time else None,
    )


def _initiate(*, one_time: bool = True) -> tuple[SetUp, Agreement]:
    return initiate(
        ANA.exchange,
        initiator=ANAS,
        responder=BENS,
        prekeys=_prekeys(one_time=one_time),
        random=system_random,
    )


def _respond(
    set_up: SetUp,
    *,
    initiator: Party = ANAS,
    responder: Party = BENS,
    secrets: PrekeySecrets = SECRETS,
) -> Agreement:
    return respond(
        BEN.exchange, initiator=initiator, responder=responder, set_up=set_up, secrets=secrets
    )


def test_both_sides_agree() -> None:
    set_up, agreed = _initiate()

    assert _respond(SetUp.decode(set_up.encode())) == agreed


def test_both_sides_agree_without_a_one_time_key() -> None:
    set_up, agreed = _initiate(one_time=False)

    assert _respond(set_up, secrets=replace(SECRETS, one_time=None)) == agreed


def test_each_set_up_gives_another_secret() -> None:
    secrets = {_initiate()[1].secret for _ in range(5)}

    assert len(secrets) == 5


@pytest.mark.parametrize(
    "changed",
    [
        {"initiator": replace(ANAS, person=PersonId(b"e" * 32))},
        {"initiator": replace(ANAS, device=BEN.key)},
        {"initiator": replace(ANAS, exchange=BEN.exchange.public)},
        {"responder": replace(BENS, person=PersonId(b"e" * 32))},
        {"responder": replace(BENS, device=ANA.key)},
        {"responder": replace(BENS, exchange=ANA.exchange.public)},
        {"secrets": replace(SECRETS, signed=Exchange.generate(system_random))},
        {"secrets": replace(SECRETS, kem=Encapsulation.generate(system_random))},
        {"secrets": replace(SECRETS, one_time=Exchange.generate(system_random))},
    ],
)
def test_whatever_differs_between_the_sides_changes_secret_and_transcript(
    changed: dict[str, Party | PrekeySecrets],
) -> None:
    set_up, agreed = _initiate()
    found = _respond(set_up, **changed)  # type: ignore[arg-type]  # one argument of either type

    assert found.secret != agreed.secret
    assert found.transcript != agreed.transcript


@pytest.mark.parametrize("field", ["signed", "kem", "one_time", "kem_kind", "ephemeral"])
def test_every_field_of_the_set_up_is_bound(field: str) -> None:
    set_up, agreed = _initiate()
    other: dict[str, SetUp] = {
        "signed": replace(set_up, signed=9),
        "kem": replace(set_up, kem=9),
        "one_time": replace(set_up, one_time=9),
        "kem_kind": replace(set_up, kem_kind=PrekeyKind.LAST_RESORT),
        "ephemeral": replace(set_up, ephemeral=Exchange.generate(system_random).public),
    }

    assert _respond(other[field]).secret != agreed.secret


def test_a_one_time_key_is_neither_left_out_nor_put_in() -> None:
    set_up, _agreed = _initiate()

    with pytest.raises(Broken):
        _respond(set_up, secrets=replace(SECRETS, one_time=None))
    with pytest.raises(Broken):
        _respond(replace(set_up, one_time=None))


@pytest.mark.parametrize("missing", [3, 4, 5])
def test_a_set_up_without_its_post_quantum_half_is_a_downgrade(missing: int) -> None:
    set_up, _agreed = _initiate()
    value: dict[int, int | bytes | None] = {
        0: 1,
        1: set_up.ephemeral,
        2: set_up.signed,
        3: int(set_up.kem_kind),
        4: set_up.kem,
        5: set_up.ciphertext,
    }
    del value[missing]

    with pytest.raises(Downgraded):
        SetUp.decode(encode(dict(value)))


@given(st.binary(max_size=200))
@settings(max_examples=80)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises((WireError, KeysError)):
        SetUp.decode(data)


def test_what_a_message_is_bound_to_differs_by_direction() -> None:
    transcript = bytes(32)

    assert about(transcript, sender=ANAS, recipient=BENS) != about(
        transcript, sender=BENS, recipient=ANAS
    )


def _session(
    name: int, *, made: float = NOW, heard: float | None = None, unanswered: int = 0,
    closed: bool = False,
) -> Session:  # fmt: skip
    return Session(
        SessionId(bytes([name]) * 16),
        PersonId(bytes(32)),
        DeviceKey(bytes(32)),
        bytes(32),
        None,
        b"",
        made=made,
        heard=heard,
        unanswered=unanswered,
        closed=closed,
    )


def test_without_a_session_one_must_begin() -> None:
    choice = choose([], now=NOW)

    assert (choice.session, choice.renew) == (None, True)


def test_one_answers_where_the_other_was_heard_last() -> None:
    heard, newer = _session(1, heard=NOW + 50), _session(2, made=NOW + 10)

    assert choose([heard, newer], now=NOW + 60).session == heard


def test_a_session_begun_since_then_is_used_instead() -> None:
    heard, newer = _session(1, heard=NOW + 5), _session(2, made=NOW + 10)

    assert choose([heard, newer], now=NOW + 60).session == newer


def test_an_old_session_serves_on_until_another_begins() -> None:
    old = _session(1, heard=NOW + 29 * DAY)
    choice = choose([old], now=NOW + 30 * DAY)

    assert (choice.session, choice.renew) == (old, True)
    young = _session(2, made=NOW + 30 * DAY)
    assert choose([old, young], now=NOW + 30 * DAY).session == young


@pytest.mark.parametrize(
    ("unanswered", "usable", "renew"),
    [
        (FRESH_AFTER - 1, True, False),
        (FRESH_AFTER, True, True),
        (MAX_SKIPPED - 1, True, True),
        (MAX_SKIPPED, False, True),
    ],
)
def test_unanswered_letters_wear_a_session_out(unanswered: int, usable: bool, renew: bool) -> None:
    choice = choose([_session(1, unanswered=unanswered)], now=NOW)

    assert (choice.session is not None, choice.renew) == (usable, renew)


def test_nothing_is_sent_in_a_closed_session() -> None:
    assert choose([_session(1, closed=True)], now=NOW).session is None
