"""A chain is read downwards; what is wrong with one segment is said, and stops no other."""

import pytest

from peer.devices.reading import Found, Stretch, look, read_stretches, write_stretches
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.keys.segments import seal_segment
from wire.archive import Segment
from wire.codec import encode
from wire.errors import Malformed
from wire.ids import PersonId

ME = Identity(PersonId(b"p" * 32), Device.generate(system_random), PersonKey(1, b"s" * 32))


def chain(length: int, identity: Identity = ME) -> list[Segment]:
    """Return a chain, the newest first."""
    found = list[Segment]()
    for number in range(length):
        on = found[0].head if found else None
        found.insert(0, seal_segment(b"%d" % number, identity=identity, on=on))
    return found


def judged(found: list[Found]) -> list[tuple[int, str]]:
    return [(one.seq, one.trouble) for one in found]


def whole(segments: list[Segment]) -> Stretch:
    return Stretch.below(segments[0].head, None)


def encoded(segments: list[Segment]) -> list[bytes]:
    return [one.encode() for one in segments]


def test_a_whole_chain_is_taken_down_to_its_beginning() -> None:
    segments = chain(5)
    found, left = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found) == [(5, ""), (4, ""), (3, ""), (2, ""), (1, "")]
    assert left.over
    assert not left.parts


def test_it_goes_on_where_an_answer_ended() -> None:
    segments = chain(5)
    _, left = look(whole(segments), encoded(segments[:2]), person=ME.person)
    found, left = look(left, encoded(segments[2:]), person=ME.person)

    assert judged(found) == [(3, ""), (2, ""), (1, "")]
    assert left.over


def test_what_is_new_ends_at_what_was_known() -> None:
    segments = chain(5)
    stretch = Stretch.below(segments[0].head, segments[3].head)
    found, left = look(stretch, encoded(segments), person=ME.person)

    assert judged(found) == [(5, ""), (4, ""), (3, "")]
    assert left.over
    assert not left.parts


def test_a_chain_that_does_not_join_what_was_known_is_noticed() -> None:
    segments, others = chain(5), chain(5)
    stretch = Stretch.below(segments[0].head, others[3].head)
    _, left = look(stretch, encoded(segments), person=ME.person)

    assert left.parts


def test_one_from_another_chain_is_swapped_and_the_rest_is_read() -> None:
    segments, others = chain(4), chain(4)
    segments[1] = others[1]
    found, left = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found) == [(4, ""), (3, "swapped"), (2, ""), (1, "")]
    assert left.over


def test_one_that_comes_again_in_anothers_place_is_swapped() -> None:
    segments = chain(4)
    segments[2] = segments[1]
    found, left = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found) == [(4, ""), (3, ""), (2, "swapped"), (1, "")]
    assert left.over


def test_in_which_order_they_come_does_not_matter() -> None:
    segments = chain(4)
    answer = encoded([segments[0], segments[2], segments[1], segments[3]])
    found, left = look(whole(segments), answer, person=ME.person)

    assert judged(found) == [(4, ""), (3, ""), (2, ""), (1, "")]
    assert left.over


def test_an_answer_with_nothing_that_was_asked_for_costs_one_number() -> None:
    segments = chain(4)
    stretch = Stretch(2, segments[1].head.before, 0, b"")
    found, left = look(stretch, encoded(segments[:1]), person=ME.person)

    assert judged(found) == [(2, "swapped")]
    assert left.next == 1


def test_one_that_was_left_out_is_missing() -> None:
    segments = chain(5)
    del segments[1:3]
    found, _ = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found) == [(5, ""), (4, "missing"), (3, "missing"), (2, ""), (1, "")]


def test_an_answer_without_any_is_missing_and_ends_it() -> None:
    segments = chain(5)
    found, left = look(whole(segments), [], person=ME.person)

    assert judged(found) == [(5, "missing")]
    assert left.over


def test_one_that_is_cut_or_unsigned_is_refused_by_its_code() -> None:
    segments = chain(4)
    answer = encoded(segments)
    answer[1] = answer[1][:-1]
    signed = segments[2]
    answer[2] = encode([signed.head.encode(), bytes(64), signed.body])
    found, _ = look(whole(segments), answer, person=ME.person)

    assert judged(found) == [(4, ""), (3, "malformed"), (2, "not-signed"), (1, "")]


def test_one_of_somebody_else_is_foreign() -> None:
    segments = chain(3)
    other = Identity(PersonId(b"q" * 32), ME.device, ME.person_key)
    segments[1] = chain(3, other)[1]
    found, _ = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found)[1] == (2, "foreign")


def test_one_that_the_gateway_has_lost_says_so_and_the_chain_goes_on() -> None:
    segments = chain(3)
    segments[1] = Segment(segments[1].signed, b"")
    found, left = look(whole(segments), encoded(segments), person=ME.person)

    assert judged(found) == [(3, ""), (2, "lost"), (1, "")]
    assert left.over


def test_what_is_left_to_read_is_kept_as_it_is() -> None:
    stretches = [whole(chain(3)), Stretch(9, b"h" * 32, 4, b"f" * 32)]

    assert read_stretches(write_stretches(stretches)) == stretches
    with pytest.raises(Malformed):
        read_stretches(encode([[1]]))
