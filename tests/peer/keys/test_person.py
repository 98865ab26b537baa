import pytest

from peer.keys.errors import WeakKey
from peer.keys.person import BoxKey, Device, PairKey, PersonKey, root_key
from peer.keys.primitives import system_random
from wire.ids import PersonId

ANA, BEN = PersonId(b"a" * 32), PersonId(b"b" * 32)
SHARED = b"s" * 32


def _key(person: PersonId, own: PersonKey, *, other: PersonId, theirs: PersonKey) -> PairKey:
    box = BoxKey(other, theirs.generation, theirs.box.public)
    return PairKey.of(person, own, theirs=box, shared=SHARED)


def test_a_seed_gives_the_same_root_key_every_time() -> None:
    seed = bytes(range(16))

    assert bytes(root_key(seed)) == bytes(root_key(seed))
    assert bytes(root_key(seed)) != bytes(root_key(seed[::-1]))


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        root_key(bytes(size))


def test_both_persons_get_the_same_pair_key_whoever_asks() -> None:
    ana, ben = PersonKey.generate(1, system_random), PersonKey.generate(3, system_random)

    assert _key(ANA, ana, other=BEN, theirs=ben) == _key(BEN, ben, other=ANA, theirs=ana)


def test_a_new_generation_makes_a_new_pair_key_without_a_message() -> None:
    ana, ben = PersonKey.generate(1, system_random), PersonKey.generate(1, system_random)
    renewed = PersonKey.generate(2, system_random)

    before, after = (_key(ANA, key, other=BEN, theirs=ben) for key in (ana, renewed))
    assert before != after
    assert after == _key(BEN, ben, other=ANA, theirs=renewed)


def test_the_generation_itself_is_part_of_the_key() -> None:
    ana, ben = PersonKey.generate(1, system_random), PersonKey.generate(1, system_random)
    relabelled = PersonKey(2, ana.seed)

    assert _key(ANA, ana, other=BEN, theirs=ben) != _key(ANA, relabelled, other=BEN, theirs=ben)


def test_a_child_differs_by_purpose_and_direction() -> None:
    key = PairKey(b"k" * 32)
    there = key.child("envelope", sender=ANA, recipient=BEN)

    assert there != key.child("envelope", sender=BEN, recipient=ANA)
    assert there != key.child("tag", sender=ANA, recipient=BEN)


def test_a_box_key_of_low_order_is_refused() -> None:
    own = PersonKey.generate(1, system_random)

    with pytest.raises(WeakKey):
        PairKey.of(ANA, own, theirs=BoxKey(BEN, 1, bytes(32)), shared=SHARED)


def test_secrets_do_not_show() -> None:
    device = Device.generate(system_random)
    texts = [repr(device), repr(PersonKey(1, b"\x41" * 32)), repr(PairKey(b"\x41" * 32))]

    assert not any("AAAA" in text or "SigningKey" in text for text in texts)
