"""What is sealed is sealed with fresh dice, and what is signed has one spelling."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peer.keys.errors import KeysError
from peer.keys.letters import Letters
from peer.keys.primitives import seal, system_random
from peer.keys.segments import seal_segment
from peer.keys.signed_items import SignedItem, read_item
from tests.faults.conftest import Amount
from tests.faults.here import patience, times
from tests.peer.keys.people import Person, reopened, two
from tests.vectors.wire_messages import ORDER
from wire.card import Signed
from wire.codec import Value, decode, encode
from wire.errors import WireError

pytestmark = pytest.mark.timeout(patience())

Pair = tuple[Person, Person]
NONCE = 24
IN_ONE_SESSION = 50
"""Letters before the other side answers: after some hundreds a new session would be wanted."""


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[Pair]:
    ana, ben = two(tmp_path)
    ben.read(ana, ana.seal(ben))
    ana.read(ben, ben.seal(ana))
    yield ana, ben
    ana.close()
    ben.close()


def test_cy_02_no_nonce_comes_twice_also_from_two_clones(
    pair: Pair, tmp_path: Path, amount: Amount
) -> None:
    """CY-02: seals of two clones of one state, three for each letter: no nonce repeats."""
    ana, ben = pair
    nonces = set[bytes]()
    drawn = 0

    def random(size: int) -> bytes:
        nonlocal drawn
        found = system_random(size)
        if size == NONCE:
            drawn += 1
            nonces.add(found)
        return found

    shutil.copy(ana.file, tmp_path / "clone.sqlite")
    clone = reopened(ana, tmp_path / "clone.sqlite")
    rounds = times(2, long=1_000_000 // (2 * 3 * IN_ONE_SESSION) + 1)
    for side in (ana, clone):
        side.letters = Letters(side.vault, random=random)
    for _ in range(rounds):
        for side in (ana, clone):
            for _ in range(IN_ONE_SESSION):
                letter = side.seal(ben)
        ben.open(clone, letter)
        for side in (ana, clone):  # an answer each; the clones go apart
            side.open(ben, ben.seal(side))
    clone.close()

    assert drawn >= rounds * 2 * 3 * IN_ONE_SESSION
    assert len(nonces) == drawn
    amount(f"{drawn:,} seals")


def test_cy_02_a_key_meets_each_nonce_once_whoever_holds_a_copy(amount: Amount) -> None:
    """CY-02: two holders of one key, as clones of one phone are: (key, nonce) is unique."""
    count, key = times(50_000, long=500_000), bytes(32)
    nonces = {
        seal(key, b"the same", about=b"", random=system_random)[:NONCE]
        for _ in range(count)
        for _clone in range(2)
    }

    assert len(nonces) == 2 * count
    amount(f"{2 * count:,} seals under one key")


def test_cy_02_segments_of_two_clones_share_no_key_stream(pair: Pair, amount: Amount) -> None:
    """CY-02: segments sealed by two clones of one state, at one place of the archive."""
    ana, _ = pair
    clones = [ana.vault.identity(), ana.vault.identity()]
    count = times(5_000, long=500_000)
    streams = {
        seal_segment(b"the same", identity=clone, on=None).body[:NONCE]
        for _ in range(count)
        for clone in clones
    }

    assert len(streams) == 2 * count
    amount(f"{2 * count:,} segments")


def respelled(raw: bytes) -> Iterator[bytes]:
    """Yield other spellings of a list of two byte strings, and of its parts."""
    first, second = _two(raw)
    yield raw + b"\0"
    yield b"\x98\x02" + raw[1:]  # its length in two bytes
    yield b"\x9f" + raw[1:] + b"\xff"  # no length
    yield b"\x82" + b"\x5a" + len(first).to_bytes(4, "big") + first + encode(second)
    yield b"\xd8\x18" + raw  # a tag before it
    s = int.from_bytes(second[32:], "little")
    for more in (1, 2):
        yield encode([first, second[:32] + (s + more * ORDER).to_bytes(32, "little")])
    for body in _other_bodies(first):
        yield encode([body, second])


def _two(raw: bytes) -> tuple[bytes, bytes]:
    match decode(raw, limit=1 << 20):
        case [bytes(first), bytes(second)]:
            return first, second
    raise AssertionError("no list of two byte strings")


def _other_bodies(body: bytes) -> Iterator[bytes]:
    """Yield the same map, or list, in other words."""
    yield body + b"\0"
    yield bytes([body[0] | 0x1F]) + body[1:] + b"\xff"
    yield bytes([(body[0] & 0xE0) | 24, body[0] & 0x1F]) + body[1:]


def test_cy_06_an_item_in_another_spelling_is_the_same_or_refused(pair: Pair) -> None:
    """CY-06: re-encoded by a contact or a gateway: refused, or the item with the same id."""
    ana, _ = pair
    item = ana.write("once")
    assert read_item(encode(decode(item.raw, limit=1 << 16)), card=ana.card).id == item.id

    for other in respelled(item.raw):
        assert other != item.raw
        _same_or_refused(other, ana, item)


def _same_or_refused(raw: bytes, author: Person, item: SignedItem) -> None:
    try:
        found = read_item(raw, card=author.card)
    except (WireError, KeysError):
        return
    assert found.id == item.id


def test_cy_06_a_card_statement_in_another_spelling_is_refused(pair: Pair) -> None:
    """CY-06: a statement has one encoding, or verifiers would disagree about its hash."""
    ana, _ = pair
    [raw] = ana.card.chain

    for other in respelled(raw):
        with pytest.raises(WireError):
            Signed.decode(other).verify()


def test_cy_06_what_is_sealed_again_is_shown_once(pair: Pair) -> None:
    """CY-06: one item in two envelopes has one id on the phone that opens both."""
    ana, ben = pair
    item = ana.write("once")
    ids = set[Any]()
    for _ in range(3):
        with ana.step():
            letter = ana.letters.seal(item, to=ben.card, own=ana.card, now=ana.now)
        with ben.step():
            received: Any = ben.letters.open(
                letter.body, parcel=letter.parcel, sender=ana.card, own=ben.card, now=ben.now
            )
        ids.add(received.item.id)

    assert ids == {item.id}


def test_cy_06_respellings_say_the_same() -> None:
    """CY-06: the spellings that are tried are of the same content, for a lenient reader."""
    values: list[Value] = [encode({0: 1}), bytes(64)]
    raw = encode(values)

    assert len(set(respelled(raw))) == 10
    assert all(bytes(32) in other for other in respelled(raw))
