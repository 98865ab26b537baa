"""Attacks on keys, sessions and letters, each a test named after what it proves.

The ids at the beginning of the docstrings are those of the list of attacks in docs/threat-model.md.
"""

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from peer.items.kinds import Heartbeat, Letter
from peer.keys.contact_exchange import Guest, Host
from peer.keys.envelope import (
    Envelope,
    Packet,
    PacketKind,
    open_envelope,
    seal_body,
    seal_envelope,
)
from peer.keys.errors import (
    CommitmentBroken,
    Downgraded,
    NeedsBundles,
    OutOfTurn,
    PrekeyGone,
    WeakKey,
)
from peer.keys.introduction import Channel, Opening
from peer.keys.keyring import Keyring
from peer.keys.letters import Letters, Received, Refused, SealedLetter
from peer.keys.minting import mint
from peer.keys.person import Device
from peer.keys.primitives import Exchange, seal, system_random, unseal
from peer.keys.ratchet import MAX_SKIPPED, DoubleRatchet
from peer.keys.sessions import SetUp
from peer.keys.signed_items import read_item, write_item
from tests.peer.keys.people import (
    DAY,
    Person,
    contact_code,
    introduction,
    meet,
    person,
    reopened,
    two,
)
from wire.card import Card, DeviceEntry, Role, Signed, Statement, StatementKind
from wire.codec import decode, encode
from wire.errors import CardRejected, Malformed, NotSigned
from wire.ids import DeviceId, DeviceKey, GatewayId, ItemId, LaneId, ParcelId, PersonId
from wire.padding import padded_length
from wire.prekeys import Bundle, Prekey, PrekeyKind
from wire.signing import sign, verify

Pair = tuple[Person, Person]

LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[Pair]:
    ana, ben = two(tmp_path)
    yield ana, ben
    ana.close()
    ben.close()


@pytest.fixture(name="talking")
def _talking(pair: Pair) -> Pair:
    ana, ben = pair
    ben.read(ana, ana.seal(ben))
    ana.read(ben, ben.seal(ana))
    return pair


def _statement_with(card: Card, entry: DeviceEntry, signer: SigningKey) -> Signed:
    last = card.position
    devices = tuple(sorted((*card.devices, entry), key=lambda one: one.key.raw))
    statement = Statement(
        StatementKind.DEVICE,
        card.root_key,
        epoch=last.epoch,
        seq=last.seq + 1,
        prev=last.hash,
        devices=devices,
        person_generation=card.person_generation,
        person_public=card.person_public,
        gateways=(),
        issued=0,
        expires=1 << 40,
        signer=bytes(signer.verify_key),
    )
    return Signed.make(statement, signer)


# Keys that were put in by somebody else


def test_a_device_added_by_the_gateway_gets_no_packet(talking: Pair) -> None:
    """A1: neither with a signature of its own, nor with one of its victim's over other bytes."""
    ana, ben = talking
    ghost = SigningKey.generate()
    entry = DeviceEntry(
        DeviceKey(bytes(ghost.verify_key)), Exchange.generate(system_random).public, Role.PHONE
    )
    with pytest.raises(CardRejected):
        ben.card.take(_statement_with(ben.card, entry, ghost))
    real = _statement_with(ben.card, entry, ben.identity.device.signing)
    with pytest.raises(NotSigned):
        ben.card.take(replace(real, signature=sign(ghost, "card-device", real.body)))

    ghost_bundle = Bundle(entry.key, *_signed_by(ghost))
    letter = ana.seal(ben, bundles=(ghost_bundle,))
    envelope = _opened(ben, ana, letter)
    assert [packet.device for packet in envelope.packets] == [ben.identity.device.id]


def _with(bundle: Bundle, part: str, prekey: Prekey) -> Bundle:
    parts = {"signed": bundle.signed, "kem": bundle.kem, "one_time": bundle.one_time, part: prekey}
    signed, kem = parts["signed"], parts["kem"]
    assert signed is not None
    assert kem is not None
    return Bundle(bundle.device, signed, kem, parts["one_time"])


def _signed_by(key: SigningKey) -> tuple[Prekey, Prekey, None]:
    exchange = Exchange.generate(system_random).public
    kem = bytes(1184)
    return (
        Prekey.sign(key, kind=PrekeyKind.SIGNED, id=1, public=exchange),
        Prekey.sign(key, kind=PrekeyKind.LAST_RESORT, id=2, public=kem),
        None,
    )


def _opened(reader: Person, sender: Person, letter: SealedLetter) -> Envelope:
    with reader.step():
        keys = Keyring(reader.vault).pair_keys(sender.card, own=reader.card, now=reader.now)
    return open_envelope(
        letter.body,
        keys=keys,
        sender=sender.card.person,
        recipient=reader.card.person,
        parcel=letter.parcel,
    )


def _sealed(sender: Person, reader: Person, envelope: Envelope) -> SealedLetter:
    """Seal an envelope as somebody would who has the pair key and wants to do harm."""
    with sender.step():
        key = next(Keyring(sender.vault).pair_keys(reader.card, own=sender.card, now=sender.now))
    parcel = ParcelId(system_random(16))
    body = seal_envelope(
        envelope, key=key, recipient=reader.card.person, parcel=parcel, random=system_random
    )
    return SealedLetter(parcel, body, envelope.number)


@pytest.mark.parametrize("part", ["signed", "kem", "one_time"])
def test_a_prekey_swapped_by_the_gateway_is_noticed_and_nothing_is_sent(
    tmp_path: Path, part: str
) -> None:
    """A2: each key of a bundle in turn, with the victim's own signature over another one."""
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    meet(ana, ben, bundles=False)
    bundle = ben.bundle()
    honest: Prekey = getattr(bundle, part)
    public = system_random(len(honest.public))
    swapped = _with(bundle, part, replace(honest, public=public))
    before = ana.state()

    with pytest.raises(NotSigned):
        ana.seal(ben, bundles=(swapped,))
    assert ana.state() == before


def test_the_exchange_key_of_a_device_stands_under_the_cards_signature(pair: Pair) -> None:
    """A2: a card with another ik is no card of this person."""
    _ana, ben = pair
    [first] = ben.card.history
    [entry] = first.statement.devices
    other = replace(entry, exchange_key=Exchange.generate(system_random).public)
    forged = replace(first.statement, devices=(other,))

    with pytest.raises(NotSigned):
        Card.begin(ben.card.person, Signed(forged, forged.body(), first.signature))


def test_no_signature_is_good_for_another_kind(pair: Pair) -> None:
    """A3, CY-03: every kind we sign, presented as every other."""
    ana, _ben = pair
    key = ana.identity.device.signing
    kinds = ["item", "introduction", "card-device", "card-root", "login", "freshness-note"]
    kinds += [kind.domain for kind in PrekeyKind]
    body = b"the very same bytes"

    for made_as, shown_as in itertools.permutations(kinds, 2):
        signature = sign(key, made_as, body)
        with pytest.raises(NotSigned):
            verify(bytes(key.verify_key), shown_as, body=body, signature=signature)


def test_a_prekey_cannot_stand_in_another_ones_place(pair: Pair) -> None:
    """A3: a one-time key handed out as the signed prekey, and renamed to pass for one."""
    _ana, ben = pair
    bundle = ben.bundle()
    assert bundle.one_time is not None

    with pytest.raises(Malformed):
        replace(bundle, signed=bundle.one_time).verify()
    with pytest.raises(NotSigned):
        replace(bundle, signed=replace(bundle.one_time, kind=PrekeyKind.SIGNED)).verify()


def test_ids_of_different_things_are_never_equal(pair: Pair) -> None:
    """A4: a device named like a key, a person named like a device."""
    ana, _ben = pair
    raw = ana.identity.device.id.raw

    assert len({DeviceId(raw), ParcelId(raw), ItemId(raw), LaneId(raw)}) == 4
    assert len({DeviceKey(bytes(32)), PersonId(bytes(32)), GatewayId(bytes(32))}) == 3


def test_an_item_is_checked_by_the_very_bytes_that_are_shown(pair: Pair) -> None:
    """A4: another body under the signature is refused, however alike."""
    ana, _ben = pair
    item = ana.write("pay Ben")
    value = decode(item.raw, limit=10_000)
    assert isinstance(value, list)
    other = ana.write("pay Eve")
    other_value = decode(other.raw, limit=10_000)
    assert isinstance(other_value, list)

    with pytest.raises(NotSigned):
        read_item(encode([other_value[0], value[1]]), card=ana.card)


def test_whoever_shares_a_key_cannot_speak_as_another(tmp_path: Path) -> None:
    """A5: Eve, a contact of Ben, names Ana in the envelope, in the item, and replays her packet."""
    ana, ben, eve = (person(tmp_path, name) for name in ("ana", "ben", "eve"))
    meet(ana, ben)
    meet(eve, ben)
    from_ana = _opened(ben, ana, ana.seal(ben, "as Ana"))

    assert ben.refuses(eve, _sealed(eve, ben, from_ana)) == "not-for-us"
    claimed = replace(from_ana, author=eve.card.person)
    assert ben.refuses(eve, _sealed(eve, ben, claimed)) == "device-unknown"
    claimed = replace(claimed, device=eve.identity.device.id)
    assert ben.refuses(eve, _sealed(eve, ben, claimed)) == "broken"
    stolen = write_item(Letter("as Ana"), identity=ana.identity, now=ana.now)
    with eve.step():
        letter = eve.letters.seal(stolen, to=ben.card, own=eve.card, now=eve.now)
    assert ben.refuses(eve, letter) == "wrong-author"


def test_a_device_says_only_what_it_wrote_unless_it_sends_again(talking: Pair) -> None:
    """A5: Ana's phone passes on what her tablet wrote; only an answer to `resend` may do that."""
    ana, ben = talking
    tablet = Device.generate(system_random)
    entry = DeviceEntry(tablet.key, tablet.exchange.public, Role.TABLET)
    ana.card, _ = ana.card.take(_statement_with(ana.card, entry, ana.identity.device.signing))
    item = write_item(
        Letter("from the tablet"), identity=replace(ana.identity, device=tablet), now=ana.now
    )
    with ana.step():
        said, again = (
            ana.letters.seal(item, to=ben.card, own=ana.card, now=ana.now, again=number)
            for number in (0, 1)
        )

    assert ben.refuses(ana, said) == "wrong-author"
    assert ben.read(ana, again) == "from the tablet"


def test_keys_of_low_order_that_sign_anything_are_refused(pair: Pair) -> None:
    """A11: R = identity, S = 0 verifies for every message under OpenSSL; here under no kind."""
    _ana, ben = pair
    signature = b"\x01" + bytes(63)
    for key in (b"\x01" + bytes(31), bytes(32), LOW_ORDER[4]):
        for kind in ("item", "card-root", "introduction", *(one.domain for one in PrekeyKind)):
            with pytest.raises(NotSigned):
                verify(key, kind, body=b"anything", signature=signature)
    bundle = ben.bundle()
    forged = replace(bundle.signed, signature=signature)
    with pytest.raises(NotSigned):
        forged.verify(DeviceKey(b"\x01" + bytes(31)))


@pytest.mark.parametrize("weak", LOW_ORDER)
def test_exchange_keys_of_low_order_are_refused(tmp_path: Path, weak: bytes) -> None:
    """A12, CY-01: in a bundle, though signed; in a card; in message 1; in a ratchet header."""
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    meet(ana, ben, bundles=False)
    bundle, key = ben.bundle(), ben.identity.device.signing
    before = ana.state()

    for part, kind in (("signed", PrekeyKind.SIGNED), ("one_time", PrekeyKind.ONE_TIME)):
        signed = Prekey.sign(key, kind=kind, id=1, public=weak)
        with pytest.raises(WeakKey):
            ana.seal(ben, bundles=(_with(bundle, part, signed),))
    assert ana.state() == before
    with pytest.raises(Malformed):
        DeviceEntry(ben.identity.device.key, weak, Role.PHONE)
    with pytest.raises(WeakKey):
        ana.identity.device.exchange.agree(weak)
    with pytest.raises(WeakKey):
        _hear_three_with(ana, ben, encode({0: 1, 1: weak}))
    first = DoubleRatchet().begin(
        bytes(32), their_key=bundle.signed.public, plaintext=b"", about=b""
    )
    with pytest.raises(WeakKey):
        DoubleRatchet().open(first.state, weak + bytes(80), about=b"")


def _hear_three_with(ana: Person, ben: Person, message_one: bytes) -> None:
    host = Host.begin(contact_code(ana))
    guest = Guest.begin(host.code)
    honest = host.hear_one(guest.message_one)
    guest = guest.hear_two(honest.message_two)
    with ben.step():
        ours = introduction(ben, ana.card.person)
    guest = guest.introduce(ours, device=ben.identity.device)
    assert guest.three is not None
    host.hear_one(message_one).hear_three(guest.three)


# Somebody between two people who meet


def test_whoever_answers_in_the_hosts_place_breaks_the_commitment(pair: Pair) -> None:
    """P3: the man in the middle has the code and the slot, and keys of his own."""
    ana, _ben = pair
    host = Host.begin(contact_code(ana))
    guest = Guest.begin(host.code)
    between = Host.begin(contact_code(ana)).hear_one(guest.message_one)

    with pytest.raises(CommitmentBroken):
        guest.hear_two(between.message_two)


def test_whoever_stands_between_shows_another_check_code(pair: Pair) -> None:
    """P3: he shows a code of his own to the guest and answers the host's himself."""
    ana, _ben = pair
    differing = 0
    for _ in range(20):
        host = Host.begin(contact_code(ana))
        his_code = Host.begin(contact_code(ana))
        his_answer = Guest.begin(host.code)
        guest = Guest.begin(his_code.code)
        host = host.hear_one(his_answer.message_one)
        guest = guest.hear_two(his_code.hear_one(guest.message_one).message_two)
        differing += host.check != guest.check

    assert differing >= 19  # one in a million each


def test_whoever_answers_the_host_in_the_guests_place_shows_another_check_code(
    pair: Pair,
) -> None:
    """P3: the guest reads the true code and gets the true keys, the host gets another's."""
    ana, _ben = pair
    differing = 0
    for _ in range(20):
        host = Host.begin(contact_code(ana))
        guest, between = Guest.begin(host.code), Guest.begin(host.code)
        host = host.hear_one(between.message_one)
        differing += host.check != guest.hear_two(host.message_two).check

    assert differing >= 19  # one in a million each


def test_the_host_shows_its_keys_only_to_one_guest(pair: Pair) -> None:
    """P3: a second answer to a code ends the exchange instead of replacing the first."""
    ana, _ben = pair
    host = Host.begin(contact_code(ana))
    with pytest.raises(OutOfTurn):
        _ = host.message_two
    host = host.hear_one(Guest.begin(host.code).message_one)

    with pytest.raises(OutOfTurn):
        host.hear_one(Guest.begin(host.code).message_one)


def test_a_card_that_was_passed_on_is_no_introduction(tmp_path: Path) -> None:
    """P3: Eve holds Ana's card and bundle and offers them as her own."""
    ana, ben, eve = (person(tmp_path, name) for name in ("ana", "ben", "eve"))
    with ana.step():
        anas = introduction(ana, ben.card.person)
    host = Host.begin(contact_code(ben))
    guest = Guest.begin(host.code)
    host = host.hear_one(guest.message_one)
    guest = guest.hear_two(host.message_two).introduce(anas, device=eve.identity.device)
    assert guest.three is not None

    with pytest.raises(NotSigned):
        host.hear_three(guest.three)


def test_an_introduction_is_good_in_its_own_exchange_only(tmp_path: Path) -> None:
    """P3: Ana introduced herself to Eve, who hands the very bytes on to Ben."""
    ana, ben, eve = (person(tmp_path, name) for name in ("ana", "ben", "eve"))
    with ana.step():
        anas = introduction(ana, eve.card.person)
    to_eve, to_eve_from = _channels(eve)
    said = to_eve_from.seal(anas, side="guest", device=ana.identity.device, random=system_random)
    assert to_eve.open(said, side="guest").card == ana.card
    inner = unseal(to_eve.key("guest"), said, about=to_eve.transcript)
    to_ben, to_ben_from = _channels(ben)
    handed_on = seal(
        to_ben_from.key("guest"), inner, about=to_ben_from.transcript, random=system_random
    )

    with pytest.raises(NotSigned):
        to_ben.open(handed_on, side="guest")
    reflected = seal(to_eve.key("host"), inner, about=to_eve.transcript, random=system_random)
    with pytest.raises(NotSigned):
        to_eve_from.open(reflected, side="host")


def _channels(host: Person) -> tuple[Channel, Channel]:
    """Return the channel of a new exchange, as the host and as the guest have it."""
    code = contact_code(host)
    agreed, kem_secret, text = system_random(32), system_random(32), system_random(1088)
    opening = Opening(code.text().encode("ascii"), b"one", b"two")
    one, other = (
        Channel.of(opening, agreed=agreed, kem_secret=kem_secret, text=text) for _ in range(2)
    )
    return one, other


# Letters


def test_a_replayed_letter_is_opened_once_by_whatever_way_it_comes(talking: Pair) -> None:
    """L1: the same parcel again, and the same content in a parcel made anew."""
    ana, ben = talking
    letter = ana.seal(ben, "once")
    envelope = _opened(ben, ana, letter)
    assert ben.read(ana, letter) == "once"
    before = ben.state()

    assert ben.refuses(ana, letter) == "duplicate"
    assert ben.refuses(ana, _sealed(ana, ben, envelope)) == "number-repeated"
    renumbered = _sealed(ana, ben, replace(envelope, number=envelope.number + 1))
    assert ben.refuses(ana, renumbered) == "duplicate"
    assert ben.state() == before


def test_a_replayed_first_letter_on_last_resort_keys_is_refused(tmp_path: Path) -> None:
    """L2: the session it began may even be deleted; its ephemeral key is remembered."""
    ana, ben = person(tmp_path, "ana"), person(tmp_path, "ben")
    meet(ana, ben, bundles=False)
    letter = ana.seal(ben, "first", bundles=(ben.bundle(one_time=False, one_time_kem=False),))
    envelope = _opened(ben, ana, letter)
    received = ben.open(ana, letter)
    assert isinstance(received, Received)
    assert received.last_resort

    replayed = _sealed(ana, ben, replace(envelope, number=envelope.number + 1))
    assert ben.refuses(ana, replayed) == "duplicate"
    ben.connection.execute("DELETE FROM sessions")
    replayed = _sealed(ana, ben, replace(envelope, number=envelope.number + 2))
    assert ben.refuses(ana, replayed) == "first-letter-replayed"
    [packet] = envelope.packets
    length = int.from_bytes(packet.raw[:2], "big")
    set_up = SetUp.decode(packet.raw[2 : 2 + length])
    other = replace(set_up, kem=set_up.kem + 1).encode()
    raw = len(other).to_bytes(2, "big") + other + packet.raw[2 + length :]
    varied = replace(envelope, packets=(replace(packet, raw=raw),), number=envelope.number + 3)
    assert ben.refuses(ana, _sealed(ana, ben, varied)) == "first-letter-replayed"


def test_a_hundred_late_letters_are_read_after_one_that_came_directly(talking: Pair) -> None:
    """L3: the mailbox brings in any order what the direct way overtook, and a gap is named."""
    ana, ben = talking
    by_mailbox = [ana.seal(ben, str(number)) for number in range(100)]
    directly = ana.seal(ben, "direct")

    assert ben.read(ana, directly) == "direct"
    [request] = ben.letters.missing(ana.card.person)
    assert sum(one.last - one.first + 1 for one in request.ranges) == 100
    order = by_mailbox[::2] + by_mailbox[1::2][::-1]
    assert sorted(int(ben.read(ana, letter)) for letter in order) == list(range(100))
    assert ben.letters.missing(ana.card.person) == ()


def test_a_letter_sent_back_to_its_sender_is_refused(talking: Pair) -> None:
    """L4: under every layer the direction is bound."""
    ana, ben = talking
    letter = ana.seal(ben, "mine")
    envelope = _opened(ben, ana, letter)

    assert ana.refuses(ben, letter) == "not-for-us"
    back = replace(
        envelope,
        author=ben.card.person,
        device=ben.identity.device.id,
        number=99,
        packets=tuple(replace(one, device=ana.identity.device.id) for one in envelope.packets),
    )
    before = ana.state()
    assert ana.refuses(ben, _sealed(ben, ana, back)) in ("broken", "duplicate")
    assert ana.state() == before


def test_a_header_far_ahead_costs_little_and_the_session_is_begun_anew(talking: Pair) -> None:
    """L5: a number of a million, and a gap of 1001; afterwards a new set-up heals."""
    ana, ben = talking
    steps = 0
    envelope = _opened(ben, ana, ana.seal(ben))
    [packet] = envelope.packets
    head = 16 + 32
    far = packet.raw[:head] + bytes(4) + (10**6).to_bytes(4, "big") + packet.raw[head + 8 :]
    forged = replace(envelope, packets=(replace(packet, raw=far),), number=500)
    before = ben.state()

    def count(_frame: object, _event: str, _argument: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        refused = ben.open(ana, _sealed(ana, ben, forged))
    finally:
        sys.setprofile(None)
    assert isinstance(refused, Refused)
    assert refused.code == "too-far-ahead"
    assert steps < 20_000  # a thousand derivations alone take more
    assert ben.state() == before
    for _ in range(MAX_SKIPPED - 1):
        ana.seal(ben)
    # No session is used beyond what the other side can bridge: a new one must begin.
    with pytest.raises(NeedsBundles):
        ana.seal(ben)
    assert ben.read(ana, ana.seal(ben, "anew", bundles=(ben.bundle(),))) == "anew"


def test_a_forged_message_leaves_every_key_as_it_was(talking: Pair) -> None:
    """L6: each byte of a packet in turn, header and seal alike."""
    ana, ben = talking
    envelope = _opened(ben, ana, ana.seal(ben, "intact"))
    [packet] = envelope.packets
    before = ben.state()

    for position in range(0, len(packet.raw), 3):
        raw = bytearray(packet.raw)
        raw[position] ^= 0x40
        forged = replace(envelope, packets=(replace(packet, raw=bytes(raw)),))
        assert isinstance(ben.open(ana, _sealed(ana, ben, forged)), Refused)
        assert ben.state() == before
    assert isinstance(ben.open(ana, _sealed(ana, ben, envelope)), Received)


def test_a_device_that_got_the_key_cannot_pass_on_another_body(talking: Pair) -> None:
    """L7: another text under the same body key, with everything else untouched."""
    ana, ben = talking
    item = write_item(Letter("the real one"), identity=ana.identity, now=ana.now)
    envelope = _opened(ben, ana, ana.seal(ben, "the real one"))
    _plaintext, other = seal_body(item.raw, author=ana.card.person, random=system_random)

    assert ben.refuses(ana, _sealed(ana, ben, replace(envelope, body=other))) == "body-swapped"
    assert isinstance(ben.open(ana, _sealed(ana, ben, envelope)), Received)


def test_no_session_begins_without_the_post_quantum_half(pair: Pair) -> None:
    """L8: fields left out, another version, and a ciphertext taken from elsewhere."""
    ana, ben = pair
    envelope = _opened(ben, ana, ana.seal(ben))
    [packet] = envelope.packets
    length = int.from_bytes(packet.raw[:2], "big")
    value = decode(packet.raw[2 : 2 + length], limit=2000)
    assert isinstance(value, dict)

    def refused(changed: dict[int, object]) -> str:
        set_up = encode(changed)  # type: ignore[arg-type]  # what a hostile sender may write
        raw = len(set_up).to_bytes(2, "big") + set_up + packet.raw[2 + length :]
        forged = replace(envelope, packets=(replace(packet, raw=raw),))
        return ben.refuses(ana, _sealed(ana, ben, forged))

    without = {key: one for key, one in value.items() if key != 5}
    assert refused(dict(without)) == "downgraded"
    assert refused({**value, 0: 0}) == "unknown-version"
    assert refused({**value, 5: b""}) == "malformed"
    assert refused({**value, 5: system_random(1088)}) == "broken"
    assert refused({**value, 6: 12345}) == "prekey-gone"
    assert refused({key: one for key, one in value.items() if key != 6}) == "broken"
    with pytest.raises(Downgraded):
        SetUp.decode(encode(without))
    with pytest.raises(Malformed):
        Bundle.from_value([ben.identity.device.key.raw, None, None, None])


def test_there_is_no_way_to_send_in_the_clear(talking: Pair) -> None:
    """L9: no suite, no packet kind and no flag but the sealed ones is taken."""
    ana, ben = talking
    item = ana.write("in the clear")
    letter = ana.seal(ben)
    for suite in set(range(256)) - {1}:
        clear = SealedLetter(letter.parcel, bytes([suite]) + letter.body[1:], 1)
        assert ben.refuses(ana, clear) == "unknown-version"
    envelope = _opened(ben, ana, letter)
    for kind in set(range(256)) - set(PacketKind):
        packets = (Packet(ben.identity.device.id, kind, item.raw),)
        forged = replace(envelope, packets=packets, body=item.raw)
        assert ben.refuses(ana, _sealed(ana, ben, forged)) == "unknown-version"
    no_packet = replace(envelope, packets=(), body=item.raw)
    assert ben.refuses(ana, _sealed(ana, ben, no_packet)) == "not-for-us"


def test_a_phone_set_back_uses_no_keystream_twice_and_is_noticed(
    talking: Pair, tmp_path: Path
) -> None:
    """L10, L11, CY-02: two letters from one state; nonces differ, the number repeats."""
    ana, ben = talking
    image = tmp_path / "image.sqlite"
    shutil.copy(ana.file, image)
    first = ana.seal(ben, "before the disk was restored")
    restored = reopened(ana, image)
    second = restored.seal(ben, "after the disk was restored")
    restored.close()

    assert first.number == second.number
    assert ben.read(ana, first) == "before the disk was restored"
    one, other = _opened(ben, ana, first), _opened(ben, ana, second)
    assert one.packets[0].raw[:56] == other.packets[0].raw[:56]  # the same place in the session
    assert one.packets[0].raw[56:80] != other.packets[0].raw[56:80]  # and another nonce
    assert ben.refuses(ana, second) == "number-repeated"


def test_no_key_and_nonce_come_together_twice(talking: Pair, tmp_path: Path) -> None:
    """CY-02, small: a thousand seals of two clones of one state, by every call of the cipher."""
    ana, ben = talking
    image = tmp_path / "clone.sqlite"
    shutil.copy(ana.file, image)
    nonces: list[bytes] = []

    def random(size: int) -> bytes:
        drawn = system_random(size)
        if size == 24:
            nonces.append(drawn)
        return drawn

    clone = reopened(ana, image)
    for side in (ana, clone):
        side.letters = Letters(side.vault, random=random)
        for _ in range(170):
            side.seal(ben)
    clone.close()

    assert len(nonces) == 2 * 170 * 3  # packet, body, envelope
    assert len(set(nonces)) == len(nonces)


class _Crash(BaseException):
    """The process ends here."""


def test_a_crash_between_sealing_and_sending_loses_and_repeats_nothing(talking: Pair) -> None:
    """L12: either state and parcel are both stored, or the step never was."""
    ana, ben = talking
    before = ana.state()

    def seal_and_crash() -> None:
        with ana.step():
            ana.letters.seal(ana.write("lost"), to=ben.card, own=ana.card, now=ana.now)
            raise _Crash

    with pytest.raises(_Crash):
        seal_and_crash()
    assert ana.state() == before
    stored = ana.seal(ben, "stored")
    ana.connection.close()
    restarted = reopened(ana, ana.file)

    assert ben.read(restarted, restarted.seal(ben, "next")) == "next"
    assert ben.read(restarted, stored) == "stored"
    assert ben.letters.missing(ana.card.person) == ()
    restarted.close()


def test_a_crash_between_opening_and_acknowledging_shows_it_once(talking: Pair) -> None:
    """L12: rolled back, the letter opens again; committed, it is a duplicate."""
    ana, ben = talking
    letter = ana.seal(ben, "once")

    def open_and_crash() -> None:
        with ben.step():
            received = ben.letters.open(
                letter.body, parcel=letter.parcel, sender=ana.card, own=ben.card, now=ben.now
            )
            assert isinstance(received, Received)
            raise _Crash

    with pytest.raises(_Crash):
        open_and_crash()

    assert ben.read(ana, letter) == "once"
    assert ben.refuses(ana, letter) == "duplicate"


def test_first_letters_on_old_prekeys_open_for_half_a_year(tmp_path: Path) -> None:
    """L15: a phone that was off for five weeks, and a letter that waited for 190 days."""
    ana, ben, eve = (person(tmp_path, name) for name in ("ana", "ben", "eve"))
    meet(ana, ben, bundles=False)
    meet(eve, ben, bundles=False)
    old = ben.bundle(one_time=False, one_time_kem=False)
    letter, late = ana.seal(ben, "old", bundles=(old,)), eve.seal(ben, "late", bundles=(old,))

    for week in range(1, 29):
        ben.now = ana.now + week * 7 * DAY
        if week == 5:
            assert ben.read(ana, letter) == "old"
        with ben.step():
            rotated = mint(
                ben.vault, ben.identity, counts=dict.fromkeys(PrekeyKind, 99), now=ben.now
            )
            ben.vault.tidy(ben.now)
        assert {one.kind for one in rotated} == {PrekeyKind.SIGNED, PrekeyKind.LAST_RESORT}
        if week == 27:
            with ben.step():
                received = ben.letters.open(
                    late.body, parcel=late.parcel, sender=eve.card, own=ben.card, now=ben.now
                )
            assert isinstance(received, Received)
    # The key was retired after the first week; it dies 194 days later.
    ben.now = ana.now + (7 + 195) * DAY
    with ben.step():
        ben.vault.tidy(ben.now)
    with pytest.raises(PrekeyGone):
        ben.vault.prekeys.secret(PrekeyKind.SIGNED, old.signed.id)


def test_bodies_have_padded_lengths_only(talking: Pair) -> None:
    """G2, CY-08: an empty heartbeat and a letter of any length."""
    ana, ben = talking
    sizes = [len(ana.seal(ben, Heartbeat()).body)]
    sizes += [len(ana.seal(ben, "x" * length).body) for length in (0, 1, 50, 300, 4000, 60_000)]

    assert all(size >= 256 and padded_length(size) == size for size in sizes)
    assert sizes[0] == sizes[1] == sizes[2]


def test_a_body_moved_to_another_parcel_person_or_device_does_not_open(tmp_path: Path) -> None:
    """CY-04: every place a ciphertext could be carried to."""
    ana, ben, eve = (person(tmp_path, name) for name in ("ana", "ben", "eve"))
    for host, guest in ((ana, ben), (ana, eve), (ben, eve)):
        meet(host, guest)
    letter = ana.seal(ben, "for Ben")
    envelope = _opened(ben, ana, letter)

    moved = replace(letter, parcel=ParcelId(system_random(16)))
    assert ben.refuses(ana, moved) == "not-for-us"
    assert eve.refuses(ana, letter) == "not-for-us"
    assert ben.refuses(eve, letter) == "not-for-us"
    assert eve.refuses(ana, _sealed(ana, eve, envelope)) == "not-for-us"
    renamed = tuple(replace(one, device=eve.identity.device.id) for one in envelope.packets)
    forwarded = _sealed(ana, eve, replace(envelope, packets=renamed))
    assert eve.refuses(ana, forwarded) == "broken"
    assert ben.read(ana, letter) == "for Ben"


def test_a_key_opens_only_what_was_sealed_for_its_purpose(talking: Pair) -> None:
    """CY-03: the pair key's children differ by purpose and by direction."""
    ana, ben = talking
    with ana.step():
        key = next(Keyring(ana.vault).pair_keys(ben.card, own=ana.card, now=ana.now))
    persons = ana.card.person, ben.card.person
    children = {
        key.child(purpose, sender=sender, recipient=recipient)
        for purpose in ("envelope", "tag", "gossip")
        for sender, recipient in itertools.permutations(persons)
    }

    assert len(children) == 6
    assert key.secret not in children


def test_a_revoked_device_cannot_say_in_a_contacts_name_that_he_has_the_new_card(
    tmp_path: Path,
) -> None:
    """A10: it knows the pair key of before, and so can seal what names the newest card."""
    ana, ben = two(tmp_path)
    with ana.step():
        ana.vault.expect_known(0)
        [key] = Keyring(ana.vault).pair_keys(ben.card, own=ana.card, now=ana.now)
    packet = Packet(ana.identity.device.id, PacketKind.ONGOING, bytes(200))
    envelope = Envelope(
        ben.card.person, ben.identity.device.id, 1, (packet,), bytes(300),
        mine=ben.card.position, yours=ana.card.position,
    )  # fmt: skip
    parcel = ParcelId(bytes(16))
    body = seal_envelope(
        envelope, key=key, recipient=ana.card.person, parcel=parcel, random=system_random
    )

    assert ana.refuses(ben, SealedLetter(parcel, body, 1)) == "session-unknown"
    assert ana.vault.known(ben.card.person) == 0
    assert ana.read(ben, ben.seal(ana)) == "hello"
    assert ana.vault.known(ben.card.person) == 1
