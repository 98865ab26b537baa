"""Attacks on cards: rollback, forks, a thief with a device, keys that are none."""

from dataclasses import replace

import pytest

from tests.wire.people import PERSON, birth, device, entries, public, signing, step
from wire.card import Card, Signed, Verdict
from wire.codec import encode
from wire.errors import CardRejected, Malformed, NotSigned
from wire.signing import sign

FIRST = birth("phone", "tablet", "laptop")


def told(*statements: Signed) -> Card:
    """Return the card of a verifier who is told these statements after FIRST."""
    card = Card.begin(PERSON, FIRST)
    for one in statements:
        card, _ = card.take(one)
    return card


def test_a_device_that_no_active_device_signed_for_is_not_sealed_to() -> None:
    """A1, AZ-15: a gateway that adds a device of its own is refused, not warned about."""
    card = told()
    ghost = step(FIRST, "phone", "phone", "tablet", "laptop", "ghost")
    forgeries = [
        replace(ghost, signature=bytes(64)),
        replace(ghost, signature=step(FIRST, "phone").signature),
        step(FIRST, "ghost", "phone", "tablet", "laptop", "ghost"),
        birth("phone", "ghost", epoch=2, by="ghost"),
    ]

    for forged in forgeries:
        with pytest.raises((NotSigned, CardRejected)):
            card.take(forged)
    assert device("ghost") not in {one.key for one in card.sealable()}


@pytest.mark.parametrize(
    "kind", ["card-root", "prekey-signed", "prekey-one-time", "login", "freshness-note", "item"]
)
def test_a_signature_for_something_else_makes_no_card_statement(kind: str) -> None:
    """A3: a signature of one kind over the very bytes is none of another."""
    on = step(FIRST, "phone")

    with pytest.raises(NotSigned):
        Signed.decode(encode([on.body, sign(signing("phone"), kind, on.body)]))


def test_the_root_s_signature_under_a_device_s_kind_is_none() -> None:
    """A3: also between the two kinds of statements."""
    forged = encode([FIRST.body, sign(signing("root"), "card-device", FIRST.body)])

    with pytest.raises(NotSigned):
        Signed.decode(forged)


def test_an_older_card_is_noticed() -> None:
    """A6: whoever is served what is over sees a rollback and keeps what it has."""
    without_laptop = step(FIRST, "phone", "phone", "tablet")
    card = told(without_laptop, birth("phone", epoch=2))

    for old in (FIRST, without_laptop):
        after, verdict = card.take(old)
        assert verdict is Verdict.ROLLBACK
        assert after == card
    with pytest.raises(CardRejected):
        Card.follow(PERSON, (*card.chain, FIRST.encode()))


def test_two_honest_devices_offline_end_with_one_card_and_letters_flow() -> None:
    """A7 a: one of two statements counts, the same everywhere, and the loser issues again."""
    by_phone = step(FIRST, "phone", "phone", "tablet", "laptop", "watch")
    by_tablet = step(FIRST, "tablet", "phone", "tablet", "laptop", "reader")

    one, other = told(by_phone, by_tablet), told(by_tablet, by_phone)

    assert one == other
    assert one.fork is None
    assert len(one.sealable()) == 4
    loser = "phone" if one.newest == by_tablet else "tablet"
    again, verdict = one.take(
        step(one.newest, loser, "phone", "tablet", "laptop", "watch", "reader")
    )
    assert verdict is Verdict.EXTENDED
    assert len(again.sealable()) == 5


def test_a_device_that_says_two_things_is_a_fork_with_proof() -> None:
    """A7 b: both statements are kept, and only devices that stand in both receive."""
    to_some = step(FIRST, "laptop", "phone", "laptop")
    to_others = step(FIRST, "laptop", "tablet", "laptop", "ghost")

    one, other = told(to_some, to_others), told(to_others, to_some)

    assert one == other
    assert one.fork is not None
    assert set(one.fork) == {to_some, to_others}
    assert one.sealable() == entries("laptop")
    assert told(to_some, to_others, birth("phone", epoch=2)).sealable() == entries("phone")


def test_a_fork_is_still_known_after_a_restart() -> None:
    """A7 b: what is put away holds the proof."""
    card = told(step(FIRST, "laptop", expires=1), step(FIRST, "laptop", expires=2))

    assert Card.restore(PERSON, card.kept) == card


def test_a_stolen_phone_that_evicts_the_others_is_overridden_by_the_root() -> None:
    """A9: and the thief's chain is over for good."""
    evicts = step(FIRST, "laptop", "laptop")
    goes_on = step(evicts, "laptop", "laptop", "ghost")
    card = told(evicts, goes_on, birth("new phone", epoch=2))

    assert card.sealable() == entries("new phone")
    for old in (evicts, goes_on, step(goes_on, "laptop")):
        assert card.take(old) == (card, Verdict.ROLLBACK)
    on_top = step(card.newest, "laptop", "laptop")
    with pytest.raises(CardRejected, match="no active device"):
        card.take(on_top)


def test_a_revoked_phone_cannot_date_itself_back_into_the_card() -> None:
    """A9, A10: at best it shows that something is wrong, and then it is not sealed to."""
    renewed = step(FIRST, "phone")
    card = told(renewed, step(renewed, "phone", "phone", "tablet"))
    attempts = [
        step(FIRST, "laptop", *names, expires=number)
        for number in range(20)
        for names in (("laptop",), ("phone", "laptop"), ("phone", "tablet", "laptop"))
    ]

    for attempt in attempts:
        after, verdict = card.take(attempt)
        assert verdict in (Verdict.KEPT, Verdict.FORKED)
        assert device("laptop") not in {one.key for one in after.sealable()}


SMALL = [
    bytes.fromhex(text)
    for text in (
        "01" + "00" * 31,
        "00" * 32,
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    )
]


@pytest.mark.parametrize("small", SMALL, ids=lambda key: key.hex()[:8])
def test_a_key_of_small_order_signs_nothing(small: bytes) -> None:
    """A11: with R the identity and S zero, some verifiers take such a key for any message."""
    said = replace(FIRST.statement, root_key=small, signer=small)
    identity = b"\1" + bytes(31)

    with pytest.raises(NotSigned):
        Signed.decode(encode([said.body(), identity + bytes(32)]))


@pytest.mark.parametrize("small", SMALL, ids=lambda key: key.hex()[:8])
def test_a_signature_with_a_small_order_point_is_refused(small: bytes) -> None:
    """A11: the point in the signature is looked at as well."""
    with pytest.raises(NotSigned):
        Signed.decode(encode([FIRST.body, small + FIRST.signature[32:]]))


def test_each_field_of_a_statement_is_under_its_signature() -> None:
    """AZ-08: altered in any field, a statement is refused."""
    on = step(FIRST, "phone", gateways=())
    said = on.statement
    altered = [
        replace(said, root_key=public("thief")),
        replace(said, epoch=2),
        replace(said, seq=2),
        replace(said, prev=bytes(32)),
        replace(said, devices=entries("phone", "ghost")),
        replace(said, person_generation=9),
        replace(said, person_public=entries("ghost")[0].exchange_key),
        replace(said, issued=said.issued + 1),
        replace(said, expires=said.expires + 1),
        replace(said, signer=public("tablet")),
    ]

    for one in altered:
        with pytest.raises(NotSigned):
            Signed.decode(encode([one.body(), on.signature]))
    for one in (replace(said, next_root=public("thief")), replace(said, seq=0)):
        with pytest.raises(Malformed):
            Signed.decode(encode([one.body(), on.signature]))


def test_a_statement_of_one_person_is_refused_for_another() -> None:
    """AZ-07: replayed into another card, by a device that is on both."""
    theirs = birth("phone", by="other root")
    card = told()

    with pytest.raises(CardRejected):
        card.take(theirs)
    assert card.take(step(theirs, "phone")) == (card, Verdict.GAP)


def test_what_a_contact_tells_of_a_third_person_never_changes_a_pinned_root() -> None:
    """A13: another root's statements, however they are dressed up, leave the card as it is."""
    card = told(step(FIRST, "phone"))
    third = birth("ghost", by="another root")
    for vouched in (
        third,
        birth("ghost", epoch=2, by="another root"),
        birth("ghost", epoch=9, by="another root", next_root=public("root")),
        step(third, "ghost"),
        step(birth("ghost", epoch=2, by="another root"), "ghost"),
        step(FIRST, "phone", root_key=public("another root")),
    ):
        try:
            after, verdict = card.take(vouched)
        except (CardRejected, NotSigned):
            continue
        assert verdict in (Verdict.GAP, Verdict.ROLLBACK)
        assert after == card
    assert card.root_key == public("root")
