"""Cards: verdict by verdict, then a state machine of devices, a root and a thief."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.wire.hostile import damaged, refuses_with_only
from tests.wire.people import (
    EXPIRES,
    PERSON,
    birth,
    device,
    entries,
    exchange,
    public,
    signing,
    step,
)
from wire.card import MAX_CHAIN, MAX_KEPT, Card, FreshnessNote, Position, Signed, Verdict
from wire.errors import CardRejected, Malformed, NotSigned, UnknownVersion
from wire.ids import PersonId
from wire.kdf import hash32

FIRST = birth("phone", "tablet", "laptop")


def told(*statements: Signed) -> tuple[Card, list[Verdict]]:
    """Tell a verifier, who knows FIRST, these statements in this order."""
    card, verdicts = Card.begin(PERSON, FIRST), []
    for one in statements:
        card, verdict = card.take(one)
        verdicts.append(verdict)
    return card, verdicts


def in_every_order(*statements: Signed) -> Card:
    """Return the one card that every order of telling ends with; what is too early comes again."""
    cards = [settled(order) for order in itertools.permutations(statements)]
    assert all(card == cards[0] for card in cards)
    return cards[0]


def settled(statements: tuple[Signed, ...], card: Card | None = None) -> Card:
    """Tell everything again and again until nothing changes."""
    card = card or Card.begin(PERSON, FIRST)
    while True:
        before = card
        for one in statements:
            card, _ = card.take(one)
        if card == before:
            return card


# What continues


def test_a_statement_on_top_of_the_newest_extends_the_card() -> None:
    added = step(FIRST, "phone", "phone", "tablet", "laptop", "watch")

    card, verdicts = told(added)

    assert verdicts == [Verdict.EXTENDED]
    assert card.devices == entries("phone", "tablet", "laptop", "watch")
    assert card.position == Position(1, 1, added.hash)
    assert card.device(device("watch").device) in card.devices
    assert card.device(device("stranger").device) is None


def test_a_statement_is_known_the_second_time() -> None:
    on = step(FIRST, "phone")

    card, verdicts = told(on, on, FIRST)

    assert verdicts == [Verdict.EXTENDED, Verdict.KNOWN, Verdict.KNOWN]
    assert card.history == (FIRST, on)


def test_an_earlier_epoch_is_a_rollback() -> None:
    on = step(FIRST, "phone")

    card, verdicts = told(birth("phone", epoch=2), FIRST, on)

    assert verdicts == [Verdict.EXTENDED, Verdict.ROLLBACK, Verdict.ROLLBACK]
    assert card.position.epoch == 2


def test_what_stands_on_something_unseen_is_a_gap() -> None:
    unseen = step(FIRST, "phone")
    later_epoch = step(birth("phone", epoch=2), "phone")

    card, verdicts = told(step(unseen, "tablet"), later_epoch)

    assert verdicts == [Verdict.GAP, Verdict.GAP]
    assert card.history == (FIRST,)


def test_a_root_statement_of_a_higher_epoch_beats_every_device_statement() -> None:
    evicts = step(FIRST, "laptop", "laptop")
    recovered = birth("new phone", epoch=2)

    card, verdicts = told(evicts, step(evicts, "laptop"), recovered)

    assert verdicts[-1] is Verdict.EXTENDED
    assert card.devices == entries("new phone")


# Who may


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (step(FIRST, "stranger", "stranger"), "no active device"),
        (step(FIRST, "root"), "no active device"),
        (step(FIRST, "phone", root_key=public("thief")), "only the root"),
        (step(FIRST, "phone", seq=2), "number does not follow"),
        (step(FIRST, "phone", person_generation=2), "change together"),
        (step(FIRST, "phone", person_public=exchange("another")), "change together"),
        (step(FIRST, "phone", "phone", person_generation=1), "change together"),
        (
            step(FIRST, "phone", "phone", person_generation=1, person_public=exchange("person 1")),
            "keeps the person key",
        ),
        (
            step(
                FIRST,
                "phone",
                devices=tuple(
                    replace(one, exchange_key=exchange("swapped"))
                    for one in FIRST.statement.devices
                ),
            ),
            "another exchange key",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_statement_that_could_never_stand_there_is_rejected(forged: Signed, reason: str) -> None:
    card = Card.begin(PERSON, FIRST)

    with pytest.raises(CardRejected, match=reason):
        card.take(forged)


def test_a_person_key_never_goes_back() -> None:
    newer = step(FIRST, "phone", person_generation=7, person_public=exchange("seventh"))
    older = step(newer, "phone", person_generation=6, person_public=exchange("sixth"))

    with pytest.raises(CardRejected, match="older"):
        told(newer, older)


def test_a_revoked_device_signs_nothing_more() -> None:
    without_laptop = step(FIRST, "phone", "phone", "tablet")

    with pytest.raises(CardRejected, match="no active device"):
        told(without_laptop, step(without_laptop, "laptop", "laptop"))


def test_a_signature_that_does_not_fit_changes_nothing() -> None:
    forged = replace(step(FIRST, "phone"), signature=bytes(64))
    forged_root = replace(birth("thief", epoch=9), signature=FIRST.signature)
    card = Card.begin(PERSON, FIRST)

    for one in (forged, forged_root):
        with pytest.raises(NotSigned):
            card.take(one)


def test_a_root_statement_by_another_root_is_rejected() -> None:
    card = Card.begin(PERSON, FIRST)

    for epoch in (1, 2):
        with pytest.raises(CardRejected, match="root in force"):
            card.take(birth("thief", epoch=epoch, by="thief"))


def test_a_card_begins_with_a_root_statement_of_its_person() -> None:
    with pytest.raises(CardRejected, match="another person"):
        Card.begin(PersonId.of_root(public("thief")), FIRST)
    with pytest.raises(CardRejected, match="root statement"):
        Card.begin(PERSON, step(FIRST, "phone"))
    with pytest.raises(NotSigned):
        Card.begin(PERSON, replace(FIRST, signature=bytes(64)))


# A new root


def test_a_root_hands_over_to_the_next() -> None:
    names = birth("phone", epoch=2, next_root=public("second root"))
    on = step(names, "phone")
    third = birth("phone", epoch=3, by="second root")

    card, verdicts = told(names, on, third)

    assert verdicts == [Verdict.EXTENDED] * 3
    assert card.root_key == public("second root")
    assert Card.follow(PERSON, card.chain) == card
    with pytest.raises(CardRejected, match="root in force"):
        card.take(birth("thief", epoch=4))


def test_a_new_root_that_nobody_introduced_yet_is_a_gap() -> None:
    names = birth("phone", epoch=2, next_root=public("second root"))
    third = birth("phone", epoch=3, by="second root")

    card, verdicts = told(third, names, third)

    assert verdicts == [Verdict.GAP, Verdict.EXTENDED, Verdict.EXTENDED]
    assert card.roots == (names,)


# Rivals


def test_of_two_rivals_without_revocation_the_lower_hash_counts() -> None:
    rivals = sorted((step(FIRST, "phone"), step(FIRST, "tablet")), key=lambda one: one.hash)

    assert told(*rivals)[1] == [Verdict.EXTENDED, Verdict.KEPT]
    assert told(*reversed(rivals))[1] == [Verdict.EXTENDED, Verdict.REPLACED]
    assert in_every_order(*rivals).newest == rivals[0]


@pytest.mark.parametrize("number", range(8))
def test_a_revocation_counts_before_anything_else(number: int) -> None:
    revokes = step(FIRST, "phone", "phone", "tablet", expires=EXPIRES + number)
    renews = step(FIRST, "tablet", expires=EXPIRES + number)

    assert in_every_order(revokes, renews).newest == revokes


@pytest.mark.parametrize("number", range(8))
def test_the_rival_that_revokes_the_other_s_signer_counts(number: int) -> None:
    revokes_tablet = step(FIRST, "phone", "phone", "laptop", expires=EXPIRES + number)
    revokes_laptop = step(FIRST, "tablet", "phone", "tablet", expires=EXPIRES + number)

    assert in_every_order(revokes_tablet, revokes_laptop).newest == revokes_tablet


def test_two_that_revoke_each_other_are_a_fork() -> None:
    phone_says = step(FIRST, "phone", "phone", "laptop")
    tablet_says = step(FIRST, "tablet", "tablet", "laptop")

    card, verdicts = told(phone_says, tablet_says)

    assert verdicts == [Verdict.EXTENDED, Verdict.FORKED]
    assert card.fork is not None
    assert set(card.fork) == {phone_says, tablet_says}
    assert card.sealable() == entries("laptop")
    assert in_every_order(phone_says, tablet_says) == card


def test_one_signer_twice_is_a_fork_and_both_are_kept() -> None:
    one, other = step(FIRST, "phone", expires=1), step(FIRST, "phone", expires=2)

    card = in_every_order(one, other)

    assert card.fork is not None
    assert set(card.fork) == {one, other}
    assert card.sealable() == entries("phone", "tablet", "laptop")


def test_a_ring_of_revocations_is_a_fork() -> None:
    ring = (
        step(FIRST, "phone", "phone", "laptop"),
        step(FIRST, "tablet", "phone", "tablet"),
        step(FIRST, "laptop", "tablet", "laptop"),
    )

    card = in_every_order(*ring)

    assert card.fork is not None
    assert card.sealable() == ()


def test_two_root_statements_of_one_epoch_are_a_fork_until_the_next_epoch() -> None:
    one, other = birth("phone", "tablet", epoch=2), birth("phone", "laptop", epoch=2)

    card, verdicts = told(one, other)
    on, _ = card.take(step(one, "phone", "phone"))
    after, verdict = on.take(birth("phone", epoch=3))

    assert verdicts == [Verdict.EXTENDED, Verdict.FORKED]
    assert card.sealable() == entries("phone")
    assert on.sealable() == entries("phone")
    assert verdict is Verdict.EXTENDED
    assert after.fork is None
    in_every_order(one, other, step(one, "phone", "phone"))


def test_of_several_forks_none_is_sealed_to_whom_one_disputes() -> None:
    first = birth("phone", "tablet", "laptop", "watch", "reader")
    by_tablet, by_laptop = step(first, "tablet"), step(first, "laptop")
    without = {
        "watch": ("phone", "tablet", "laptop", "reader"),
        "reader": ("phone", "tablet", "laptop", "watch"),
    }
    said = [by_tablet, by_laptop]
    said += [step(by_tablet, "phone", *without["watch"], expires=n) for n in (1, 2)]
    said += [step(by_laptop, "phone", *without["reader"], expires=n) for n in (1, 2)]

    card = settled(tuple(said), Card.begin(PERSON, first))

    assert card.fork is not None
    assert card.sealable() == entries("phone", "tablet", "laptop")


def test_in_a_fork_the_card_stands_where_nobody_disputes_it() -> None:
    agreed = step(FIRST, "laptop")
    card, _ = told(agreed, step(agreed, "phone", expires=1), step(agreed, "phone", expires=2))

    assert card.position == Position(1, 1, agreed.hash)
    assert card.take(step(agreed, "tablet"))[1] is Verdict.FORKED
    assert Card.follow(PERSON, card.chain).position == card.position


def test_a_device_with_a_swapped_exchange_key_is_disputed() -> None:
    one = birth("phone", "tablet", epoch=2)
    swapped = tuple(
        replace(entry, exchange_key=exchange("swapped")) if entry.key == device("phone") else entry
        for entry in one.statement.devices
    )
    card, _ = told(one, birth(epoch=2, devices=swapped))

    assert card.sealable() == entries("tablet")


def test_a_revoked_device_cannot_undo_its_revocation_from_an_earlier_place() -> None:
    renewed = step(FIRST, "phone")
    revoked = step(renewed, "phone", "phone", "tablet")
    for number in range(8):  # whatever the hash
        back_dated = step(FIRST, "laptop", expires=number)
        card = in_every_order(renewed, revoked, back_dated)
        assert card.newest == revoked

    evicts = step(FIRST, "laptop", "laptop", "tablet")
    card = in_every_order(renewed, revoked, evicts)
    assert card.fork is not None
    assert card.sealable() == entries("tablet")


def test_a_revoked_device_cannot_use_an_honest_loser_to_come_back() -> None:
    counts, loses = sorted((step(FIRST, "phone"), step(FIRST, "tablet")), key=lambda one: one.hash)
    winner = "phone" if counts.statement.signer == public("phone") else "tablet"
    revoked = step(counts, winner, "phone", "tablet")
    evicts = step(loses, "laptop", "laptop", "tablet" if winner == "phone" else "phone")

    card = in_every_order(counts, loses, revoked, evicts)

    assert card.fork is not None
    assert device("laptop") not in {one.key for one in card.sealable()}


def test_a_later_revocation_tips_the_scale() -> None:
    counts, loses = sorted((step(FIRST, "phone"), step(FIRST, "tablet")), key=lambda one: one.hash)
    loser = "phone" if loses.statement.signer == public("phone") else "tablet"
    revokes = step(loses, loser, "phone", "tablet")

    card, verdicts = told(counts, loses, revokes)

    assert verdicts == [Verdict.EXTENDED, Verdict.KEPT, Verdict.REPLACED]
    assert card.history == (FIRST, loses, revokes)
    assert in_every_order(counts, loses, revokes) == card


# Bounds


def test_a_chain_has_at_most_sixty_four_statements() -> None:
    card, newest = Card.begin(PERSON, FIRST), FIRST
    for _ in range(MAX_CHAIN - 1):
        newest = step(newest, "phone")
        card, _verdict = card.take(newest)

    assert len(card.chain) == MAX_CHAIN
    assert Card.follow(PERSON, card.chain) == card
    with pytest.raises(CardRejected, match="chain is full"):
        card.take(step(newest, "phone"))
    with pytest.raises(CardRejected, match="1 to 64"):
        Card.follow(PERSON, (*card.chain, step(newest, "phone").encode()))
    with pytest.raises(CardRejected, match="1 to 64"):
        Card.follow(PERSON, ())
    assert card.take(birth("phone", epoch=2))[1] is Verdict.EXTENDED


def test_the_roots_before_count_towards_the_length_of_a_chain() -> None:
    newest = birth("phone", epoch=3, by="second root")
    card, _ = told(birth("phone", epoch=2, next_root=public("second root")), newest)
    while len(card.chain) < MAX_CHAIN:
        newest = step(newest, "phone")
        card, _ = card.take(newest)

    assert Card.follow(PERSON, card.chain) == card
    with pytest.raises(CardRejected, match="chain is full"):
        card.take(step(newest, "phone"))


def test_a_root_is_handed_over_a_bounded_number_of_times() -> None:
    person = PersonId.of_root(public("root 1"))
    card = Card.begin(person, birth("phone", by="root 1", next_root=public("root 2")))
    for number in range(2, MAX_CHAIN + 1):
        names = public(f"root {number + 1}")
        handed = birth("phone", epoch=number, by=f"root {number}", next_root=names)
        card, _ = card.take(handed)

    assert len(card.chain) == MAX_CHAIN
    with pytest.raises(CardRejected, match="chain is full"):
        card.take(birth("phone", epoch=MAX_CHAIN + 1, by=f"root {MAX_CHAIN + 1}"))


def test_whoever_disputes_without_end_is_cut_short() -> None:
    card = Card.begin(PERSON, FIRST)
    for number in range(MAX_KEPT - 1):
        card, _ = card.take(step(FIRST, "laptop", expires=number))

    with pytest.raises(CardRejected, match="too much"):
        card.take(step(FIRST, "laptop", expires=MAX_KEPT))
    assert len(card.known) == MAX_KEPT
    assert card.take(birth("phone", epoch=2))[1] is Verdict.EXTENDED


def test_a_flood_of_losers_does_not_stop_the_chain() -> None:
    newest = step(FIRST, "phone", "phone", "tablet")  # counts: it revokes the flooder
    card, _ = told(newest)
    for flooder in ("laptop", "tablet"):
        loser = FIRST
        for _ in range(MAX_CHAIN - 1):
            loser = step(loser, flooder)
            card, verdict = card.take(loser)
            assert verdict is Verdict.KEPT
    assert len(card.known) == MAX_KEPT

    for _ in range(MAX_CHAIN - 2):
        newest = step(newest, "phone")
        card, verdict = card.take(newest)
        assert verdict is Verdict.EXTENDED
    assert card.fork is None
    assert Card.restore(PERSON, card.kept) == card


# Keeping and handing out


def test_a_broken_chain_is_not_followed() -> None:
    on = step(FIRST, "phone")
    chain = (FIRST.encode(), on.encode(), step(on, "tablet").encode())

    for broken in (chain[1:], chain[::2], (*chain, chain[1]), (FIRST.encode(), *chain)):
        with pytest.raises(CardRejected):
            Card.follow(PERSON, broken)


def test_following_a_chain_is_taking_its_statements_one_by_one() -> None:
    names = birth("phone", epoch=2, next_root=public("second root"))
    third = birth("phone", "tablet", epoch=3, by="second root")
    statements = [FIRST]
    for by in ("phone", "tablet", "phone"):
        statements.append(step(statements[-1], by))
    chains = [
        statements,
        [names, third, step(third, "tablet")],
        [names, third, step(third, "phone", "phone"), birth("phone", epoch=4, by="second root")],
    ]

    for chain in chains:
        card = Card.begin(PERSON, chain[0])
        for one in chain[1:]:
            card, verdict = card.take(one)
            assert verdict is Verdict.EXTENDED
        assert Card.follow(PERSON, [one.encode() for one in chain]) == card
        assert Card.restore(PERSON, card.kept) == card


def test_a_link_that_may_not_stand_there_breaks_the_chain() -> None:
    on = step(FIRST, "phone")
    for wrong in (
        step(on, "phone", epoch=2),
        step(on, "phone", seq=7),
        step(on, "stranger"),
        step(on, "phone", person_generation=2),
        replace(step(on, "phone"), signature=bytes(64)),
        birth("phone", epoch=1, expires=EXPIRES + 1),
    ):
        chain = (FIRST.encode(), on.encode(), wrong.encode())
        with pytest.raises((CardRejected, NotSigned)):
            Card.follow(PERSON, chain)
        with pytest.raises((CardRejected, NotSigned)):
            Card.follow(PERSON, (*chain, step(wrong, "phone").encode()))


def test_what_is_kept_holds_the_fork_and_the_losers() -> None:
    one, other = step(FIRST, "phone", expires=1), step(FIRST, "phone", expires=2)
    names = birth("phone", epoch=2, next_root=public("second root"))
    third = birth("phone", "tablet", epoch=3, by="second root")
    cards = [
        told(one, other, step(one, "tablet"))[0],
        told(step(FIRST, "phone"), step(FIRST, "tablet"))[0],
        told(names, third, step(third, "phone"), step(third, "tablet"))[0],
        told(birth("phone", epoch=2), birth("tablet", epoch=2))[0],
    ]

    for card in cards:
        assert Card.restore(PERSON, card.kept) == card


def test_what_was_not_kept_as_it_was_given_is_refused() -> None:
    on = step(FIRST, "phone")
    kept = told(on, step(on, "phone", expires=1), step(on, "phone", expires=2))[0].kept

    for broken in ((), kept[1:], (kept[0], *kept[2:]), (*kept, kept[-1]), kept[::-1]):
        with pytest.raises(CardRejected):
            Card.restore(PERSON, broken)


# Freshness


def test_a_card_goes_stale_and_a_note_by_an_active_device_prolongs_it() -> None:
    card = Card.begin(PERSON, FIRST)
    note = FreshnessNote.make(card, signing("tablet"), expires=EXPIRES + 100)
    note.verify(card)

    assert not card.stale(EXPIRES)
    assert card.stale(EXPIRES + 1)
    assert not card.stale(EXPIRES + 1, note=note)
    assert card.stale(EXPIRES + 101, note=note)
    assert FreshnessNote.decode(note.encode()) == note


def test_a_note_shortens_nothing_and_speaks_of_one_statement_only() -> None:
    card = Card.begin(PERSON, FIRST)
    short = FreshnessNote.make(card, signing("tablet"), expires=1)
    long = FreshnessNote.make(card, signing("tablet"), expires=EXPIRES + 100)
    later, _ = card.take(step(FIRST, "phone"))

    assert not card.stale(EXPIRES, note=short)
    assert later.stale(EXPIRES + 1, note=long)
    with pytest.raises(CardRejected, match="another statement"):
        long.verify(later)


def test_a_note_by_a_stranger_or_altered_is_refused() -> None:
    card = Card.begin(PERSON, FIRST)
    note = FreshnessNote.make(card, signing("tablet"), expires=EXPIRES + 100)

    with pytest.raises(CardRejected, match="no active device"):
        FreshnessNote.make(card, signing("stranger"), expires=EXPIRES + 100).verify(card)
    for altered in (
        replace(note, expires=EXPIRES + 101),
        replace(note, signer=public("phone")),
        replace(note, signature=bytes(64)),
    ):
        with pytest.raises(NotSigned):
            altered.verify(card)


NOTE = FreshnessNote.make(Card.begin(PERSON, FIRST), signing("tablet"), expires=EXPIRES)

NOTE_ERRORS = {
    Malformed,  # not CBOR in its one spelling, or a field out of bounds
    UnknownVersion,  # field 0 is another number
}


@given(damaged(NOTE.encode()))
def test_a_damaged_note_is_refused_with_a_wire_error(data: bytes) -> None:
    refuses_with_only(FreshnessNote.decode, data, NOTE_ERRORS)


# The machine


def _mixed(one: Signed) -> bytes:
    return hash32("another order", one.body)


NAMES = ("phone", "tablet", "laptop", "watch")


class Family(RuleBasedStateMachine):
    """Devices that speak without asking each other, a root, and a thief with one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Signed] = []
        self.cards: dict[str, Card] = {}
        self.roots = 1

    @initialize()
    def begin(self) -> None:
        self.said = [FIRST]
        self.cards = {name: Card.begin(PERSON, FIRST) for name in (*NAMES, "contact")}

    @rule(name=st.sampled_from(NAMES), others=st.sets(st.sampled_from(NAMES), min_size=1))
    def a_device_changes_the_list(self, name: str, others: set[str]) -> None:
        self._say(name, self.cards[name].newest, *others)

    @rule(name=st.sampled_from(NAMES))
    def a_device_renews(self, name: str) -> None:
        self._say(name, self.cards[name].newest)

    @rule(which=st.integers(0, 1000), others=st.sets(st.sampled_from(NAMES), min_size=1))
    def the_thief_of_the_laptop_speaks_at_any_place(self, which: int, others: set[str]) -> None:
        before = self.said[which % len(self.said)]
        if before.statement.lists(public("laptop")) and before.statement.seq < 8:
            made = step(before, "laptop", *others, expires=len(self.said))
            self.said.append(made)

    @rule(others=st.sets(st.sampled_from(NAMES), min_size=1))
    def the_root_begins_an_epoch(self, others: set[str]) -> None:
        self.roots += 1
        self.said.append(birth(*others, epoch=self.roots))

    @rule(others=st.sets(st.sampled_from(NAMES), min_size=1))
    def the_root_speaks_twice(self, others: set[str]) -> None:
        self.said.append(birth(*others, epoch=self.roots, expires=len(self.said)))

    @rule(
        name=st.sampled_from((*NAMES, "contact")),
        which=st.lists(st.integers(0, 1000), max_size=6),
    )
    def somebody_hears(self, name: str, which: list[int]) -> None:
        for number in which:
            heard = self.said[number % len(self.said)]
            before = self.cards[name]
            after, verdict = before.take(heard)
            self.cards[name] = after
            self._check(before, heard, after, verdict)

    def _say(self, name: str, before: Signed, *others: str) -> None:
        if self.cards[name].fork is None and before.statement.lists(public(name)):
            made = step(before, name, *others)
            self.cards[name], _ = self.cards[name].take(made)
            self.said.append(made)

    def _check(self, before: Card, heard: Signed, after: Card, verdict: Verdict) -> None:
        moved = before.position != after.position
        if verdict in (Verdict.KNOWN, Verdict.ROLLBACK, Verdict.GAP):
            assert after == before
        if verdict is Verdict.KEPT:
            assert not moved
        if verdict is Verdict.REPLACED:  # a device that was out does not bring itself back
            assert before.newest.statement.lists(heard.statement.signer)
        if before.fork is not None and after.position.epoch == before.position.epoch:
            assert after.fork is not None
            assert set(after.sealable()) <= set(before.sealable())

    @invariant()
    def every_card_hangs_together(self) -> None:
        for card in self.cards.values():
            for before, after in itertools.pairwise(card.history):
                assert after.statement.prev == before.hash
                assert before.statement.lists(after.statement.signer)
            assert card.position.hash == card.history[-1].hash

    def teardown(self) -> None:
        """Whatever the order, whoever has heard everything holds the same card."""
        if not self.said:
            return
        orders = [self.said, self.said[::-1]]
        orders += [sorted(self.said, key=lambda one: one.hash), sorted(self.said, key=_mixed)]
        cards = [settled(tuple(order)) for order in orders]
        cards += [settled(tuple(self.said), card) for card in self.cards.values()]
        assert all(card == cards[0] for card in cards)
        assert Card.restore(PERSON, cards[0].kept) == cards[0]
        if cards[0].fork is None:
            assert Card.follow(PERSON, cards[0].chain).position == cards[0].position


TestFamily = Family.TestCase
TestFamily.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
