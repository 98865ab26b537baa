"""The code against the vectors of `make_keys.py`, and the vectors against each other."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nacl.signing import SigningKey

from peer.devices.belongings import Kind, key_of
from peer.devices.clock import Stamp
from peer.devices.log import read_batch, read_snapshot
from peer.devices.state import Entry, joined
from peer.keys.contact_exchange import Guest, Host
from peer.keys.device_exchange import NewDevice, OldDevice
from peer.keys.envelope import Envelope, open_body, open_envelope
from peer.keys.errors import KeysError
from peer.keys.file_key import FileKey, Header
from peer.keys.grant import Offer
from peer.keys.helping import help_number, open_help, rehearsal_proof, share_proof_key
from peer.keys.introduction import Met
from peer.keys.person import BoxKey, Device, PairKey, PersonKey, recovery_box, root_key
from peer.keys.person_records import older_keys, open_for_recovery, open_record
from peer.keys.primitives import Encapsulation, Exchange
from peer.keys.ratchet import DoubleRatchet, Place, SkippedKey
from peer.keys.segments import open_segment
from peer.keys.sessions import Party, PrekeySecrets, SetUp, about, respond
from peer.keys.shares import friends_secret, join, mark_of, proof_key
from peer.keys.signed_items import read_item
from peer.keys.state_seals import open_batch, open_snapshot
from peer.keys.words import seed_of, words_of
from tests.vectors.make_keys import CONTENTS, FILES, FOLDER, stream
from wire.archive import Segment
from wire.card import Card, DeviceEntry
from wire.codes import ContactCode, DeviceCode, ShownBy
from wire.errors import WireError
from wire.ids import DeviceKey, ParcelId, PersonId
from wire.kdf import hkdf
from wire.person_keys import PersonKeyRecord
from wire.state_log import Batch, Snapshot

Case = dict[str, Any]
TABLET = Device(SigningKey(bytes(32)), Exchange(b"x" * 32))
OFFER = Offer(DeviceEntry(TABLET.key, TABLET.exchange.public), "tablet")


def _cases(name: str) -> list[Any]:
    cases = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    whole = {case["name"]: case for case in cases}
    return [
        pytest.param({**whole.get(case.get("like"), {}), **case}, id=case["name"]) for case in cases
    ]


def _raw(case: Case, key: str) -> bytes:
    return bytes.fromhex(case[key])


def _judge(case: Case, work: Callable[[], None]) -> None:
    """Run `work`; it must be refused with the case's error, or do without one."""
    if "error" not in case:
        work()
        return
    with pytest.raises((KeysError, WireError)) as caught:
        work()
    assert getattr(caught.value, "code", None) == case["error"]


@pytest.mark.parametrize("case", _cases("keys"))
def test_keys_are_derived_as_written(case: Case) -> None:
    def work() -> None:
        match case["kind"]:
            case "root":
                public = bytes(root_key(_raw(case, "seed")).verify_key)
                assert public == _raw(case, "root_public")
                assert PersonId.of_root(public).raw == _raw(case, "person")
            case "words":
                assert " ".join(words_of(_raw(case, "seed"))) == case["words"]
                assert seed_of(case["words"].split()) == _raw(case, "seed")
            case "shares":
                _check_shares(case)
            case "help":
                asking = Exchange(_raw(case, "secret"))
                assert open_help(_raw(case, "sealed"), asking).encode() == _raw(case, "content")
                assert help_number(asking.public) == case["number"]
            case "box":
                assert PersonKey(1, _raw(case, "seed")).box.public == _raw(case, "box_public")
            case "pair":
                _check_pair(case)
            case "agree":
                Exchange(_raw(case, "secret")).agree(_raw(case, "public"))

    _judge(case, work)


def _check_shares(case: Case) -> None:
    friends = [bytes.fromhex(one) for one in case["friends"]]
    assert join(friends, _raw(case, "gateway")) == _raw(case, "seed")
    assert proof_key(friends_secret(friends)) == _raw(case, "proof_key")
    assert mark_of(friends[0]) == _raw(case, "mark")
    key, nonce = share_proof_key(friends[0]), _raw(case, "rehearsal_nonce")
    assert rehearsal_proof(key, nonce) == _raw(case, "rehearsal_proof")


def _check_pair(case: Case) -> None:
    ana, ben = PersonId(_raw(case, "person")), PersonId(_raw(case, "their_person"))
    own = PersonKey(case["generation"], _raw(case, "seed"))
    theirs = BoxKey(ben, case["their_generation"], _raw(case, "their_public"))
    key = PairKey.of(ana, own, theirs=theirs, shared=_raw(case, "shared"))
    assert key.secret == _raw(case, "pair_key")
    assert key.child("envelope", sender=ana, recipient=ben) == _raw(case, "envelope_there")
    assert key.child("envelope", sender=ben, recipient=ana) == _raw(case, "envelope_back")
    assert key.child("tag", sender=ana, recipient=ben) == _raw(case, "tag_there")
    assert key.child("gossip", sender=ana, recipient=ben) == _raw(case, "gossip_there")


@pytest.mark.parametrize("case", _cases("person-key"))
def test_records_of_person_keys_are_opened_as_written(case: Case) -> None:
    exchange = Exchange(_raw(case, "exchange_secret"))
    device = Device(SigningKey(_raw(case, "signing_secret")), exchange)

    def work() -> None:
        record = PersonKeyRecord.decode(_raw(case, "record"))
        assert record.encode() == _raw(case, "record")
        key = open_record(record, device)
        assert key.seed == _raw(case, "secret")
        recovery = recovery_box(_raw(case, "seed"))
        assert recovery.public == _raw(case, "recovery_public")
        assert open_for_recovery(record, recovery) == key
        before = [one.seed.hex() for one in older_keys(key, [record])]
        assert before == ([case["before"]] if "before" in case else [])
        card = Card.follow(record.person, [bytes.fromhex(one) for one in case["chain"]])
        assert record.stands_on(card)

    _judge(case, work)


@pytest.mark.parametrize("case", _cases("state"))
def test_the_state_log_is_read_and_joined_as_written(case: Case) -> None:
    def work() -> None:
        match case["kind"]:
            case "key":
                names = hkdf(_raw(case, "seed"), info=b"homepost/state-names/1")
                kind = Kind(case["about"])
                texts = kind is Kind.NOTE
                parts = [
                    one if texts or isinstance(one, int) else bytes.fromhex(one)
                    for one in case["parts"]
                ]
                assert key_of(names, kind, *parts) == _raw(case, "key")
            case "join":
                one, other = (_state_entry(case, case[side]) for side in ("one", "other"))
                assert joined(one, other) == _state_entry(case, case["joined"])
                assert joined(other, one) == joined(one, other)
            case "batch":
                batch = Batch.decode(_raw(case, "bytes"))
                batch.verify(DeviceKey(_raw(case, "device_key")))
                key = PersonKey(batch.generation, _raw(case, "seed"))
                plain = open_batch(key, batch.sealed, device=batch.device, seq=batch.seq)
                assert read_batch(plain, batch) == [
                    _state_entry(one, one) for one in case["entries"]
                ]
                assert batch.seq == case["seq"]
            case "snapshot":
                whole = Snapshot.decode(_raw(case, "bytes"))
                whole.verify(DeviceKey(_raw(case, "device_key")))
                key = PersonKey(whole.generation, _raw(case, "seed"))
                plain = open_snapshot(key, whole.sealed, device=whole.device)
                found, cuts = read_snapshot(plain, generation=whole.generation)
                assert list(found) == [_state_entry(one, one) for one in case["entries"]]
                assert {one.raw.hex(): cut for one, cut in cuts.items()} == case["cuts"]
                assert {one.raw.hex(): seq for one, seq in whole.vector.items()} == case["vector"]

    _judge(case, work)


@pytest.mark.parametrize("case", _cases("file-key"))
def test_the_key_of_a_phones_file_comes_out_of_its_header_as_written(case: Case) -> None:
    def work() -> None:
        header = Header.decode(_raw(case, "header"))
        assert header.encode() == _raw(case, "header")
        secret = case["pin"] if "pin" in case else _raw(case, "kept")
        assert header.open(secret) == FileKey(_raw(case, "id"), _raw(case, "key"))

    _judge(case, work)


def _state_entry(case: Case, said: Case) -> Entry:
    epoch, time, device, seq = said["stamp"]
    value = said["value"]
    return Entry(
        _raw(case, "key"),
        Stamp(epoch, time, bytes.fromhex(device), seq),
        None if value is None else bytes.fromhex(value),
    )


@pytest.mark.parametrize("case", _cases("device-exchange"))
def test_devices_agree_as_written(case: Case) -> None:
    code = DeviceCode.parse(case["code"])
    opening, revealing = _raw(case, "opening"), _raw(case, "revealing")
    kem = Encapsulation(_raw(case, "kem_seed"))
    shows_new = code.shown_by is ShownBy.NEW
    new = NewDevice(code, Exchange(_raw(case, "new_exchange")), kem if shows_new else None)
    old = OldDevice(code, Exchange(_raw(case, "old_exchange")), None if shows_new else kem)

    def work() -> None:
        nonlocal new, old
        if shows_new:
            revealed = new.reveal(opening, OFFER, device=TABLET)
            heard = old.hear_revealing(revealing)
            assert old.opening_message == opening
            new = replace(revealed, revealing=revealing)
        else:
            heard = old.reveal(opening).hear_offer(_raw(case, "offering"))
            new = replace(
                new.hear_revealing(revealing),
                text=heard.text,
                kem_secret=_raw(case, "kem_secret"),
            )
            assert heard.revealing == revealing
            assert heard.kem_secret == _raw(case, "kem_secret")
        assert new.check == case["check"]
        assert heard.check == new.check
        assert heard.offer is not None
        assert heard.offer.entry.key.raw == _raw(case, "device")
        grant = new.open_grant(_raw(case, "granting"))
        assert grant.person.raw == _raw(case, "person")
        assert grant.person_key.seed == _raw(case, "secret")

    _judge(case, work)


def _party(case: Case, side: str) -> Party:
    return Party(
        PersonId(_raw(case, f"{side}_person")),
        DeviceKey(_raw(case, f"{side}_device")),
        _raw(case, f"{side}_exchange"),
    )


@pytest.mark.parametrize("case", _cases("session"))
def test_sessions_are_set_up_as_written(case: Case) -> None:
    ana, ben = _party(case, "initiator"), _party(case, "responder")
    one_time = case["one_time_secret"]
    secrets = PrekeySecrets(
        Exchange(_raw(case, "signed_secret")),
        Encapsulation(_raw(case, "kem_seed")),
        None if one_time is None else Exchange(bytes.fromhex(one_time)),
    )

    def work() -> None:
        set_up = SetUp.decode(_raw(case, "set_up"))
        agreed = respond(
            Exchange(_raw(case, "responder_exchange_secret")),
            initiator=ana,
            responder=ben,
            set_up=set_up,
            secrets=secrets,
        )
        assert set_up.encode() == _raw(case, "set_up")
        assert agreed.transcript == _raw(case, "transcript")
        assert agreed.secret == _raw(case, "secret")
        assert agreed.id.raw == _raw(case, "session")
        there = about(agreed.transcript, sender=ana, recipient=ben)
        assert there == _raw(case, "about_there")
        back = about(agreed.transcript, sender=ben, recipient=ana)
        assert back == _raw(case, "about_back")

    _judge(case, work)


@pytest.mark.parametrize("case", _cases("ratchet"))
def test_messages_are_sealed_and_opened_as_written(case: Case) -> None:
    there, back = _raw(case, "about_there"), _raw(case, "about_back")
    messages = [bytes.fromhex(one) for one in case["initiator_sends"]]
    texts = [bytes.fromhex(one) for one in case["initiator_plaintexts"]]
    draws = {name: bytes.fromhex(one) for name, one in case["ratchet_secrets"].items()}
    own = Exchange(_raw(case, "responder_key"))
    state = ""

    def using(key: str, message: bytes) -> DoubleRatchet:
        """Return a ratchet that draws one key and then the nonce that `message` has."""
        left = [draws[key]] if key else []
        return DoubleRatchet(lambda size: left.pop() if size == 32 else message[40:64])

    sealed = using("initiator_0", messages[0]).begin(
        _raw(case, "secret"), their_key=own.public, plaintext=texts[0], about=there
    )
    made = [sealed.message]
    for message, text in zip(messages[1:], texts[1:], strict=True):
        sealed = using("", message).seal(sealed.state, text, about=there)
        made.append(sealed.message)
    assert made == messages
    states, skipped = {"initiator": sealed.state}, dict[Place, SkippedKey]()
    keys = {"initiator": "initiator_1", "responder": "responder_0"}
    for step in case["steps"]:
        side, message = step["side"], bytes.fromhex(step["message"])
        bound = there if side == "responder" else back

        def work(
            side: str = side, message: bytes = message, bound: bytes = bound, step: Case = step
        ) -> None:
            steps = DoubleRatchet(_keys_of(draws[keys[side]]))
            if side not in states:
                opened = steps.accept(
                    _raw(case, "secret"), own_key=own, message=message, about=bound
                )
            else:
                opened = steps.open(states[side], message, about=bound, skipped=skipped.get)
                if opened.used is not None:
                    del skipped[opened.used]
            skipped.update({one.place: one for one in opened.skipped})
            states[side] = opened.state
            assert opened.plaintext == bytes.fromhex(step["plaintext"])

        _judge(step, work)
        if "responder" in states and not state:
            answer = _raw(case, "answer")
            reply = using("", answer).seal(states["responder"], b"answer", about=back)
            states["responder"] = reply.state
            assert reply.message == answer
            state = "answered"


def _keys_of(key: bytes) -> Callable[[int], bytes]:
    others = stream("others")
    return lambda size: key if size == 32 else others(size)


@pytest.mark.parametrize("case", _cases("envelope"))
def test_envelopes_and_bodies_are_opened_as_written(case: Case) -> None:
    def work() -> None:
        if case["kind"] == "body":
            author = PersonId(_raw(case, "author"))
            item = open_body(_raw(case, "packet"), _raw(case, "body"), author=author)
            assert item == _raw(case, "item")
            return
        envelope = open_envelope(
            _raw(case, "body"),
            keys=(PairKey(_raw(case, "pair_key")),),
            sender=PersonId(_raw(case, "sender")),
            recipient=PersonId(_raw(case, "recipient")),
            parcel=ParcelId(_raw(case, "parcel")),
        )
        assert envelope.encode() == _raw(case, "envelope")
        assert envelope == Envelope.decode(_raw(case, "envelope"))

    _judge(case, work)


@pytest.mark.parametrize("case", _cases("item"))
def test_items_are_read_as_written(case: Case) -> None:
    card = Card.follow(PersonId(_raw(case, "person")), [bytes.fromhex(one) for one in case["card"]])

    def work() -> None:
        found = read_item(_raw(case, "raw"), card=card)
        assert found.id.raw == _raw(case, "id")
        assert found.item.time == case["time"]
        assert found.item.content == CONTENTS[case["name"]]

    _judge(case, work)


@pytest.mark.parametrize("case", _cases("contact-exchange"))
def test_people_add_each_other_as_written(case: Case) -> None:
    code = ContactCode.parse(case["code"])
    kem = Encapsulation(_raw(case, "host_kem_seed"))
    host = Host(code, Exchange(_raw(case, "host_exchange_secret")), kem)
    guest = Guest(code, Exchange(_raw(case, "guest_exchange_secret")))

    def work() -> None:
        heard = host.hear_one(_raw(case, "message_1"))
        answered = guest.hear_two(_raw(case, "message_2"))
        heard, met = heard.hear_three(_raw(case, "message_3"))
        assert heard.message_two == _raw(case, "message_2")
        assert answered.message_one == _raw(case, "message_1")
        assert heard.check == answered.check == case["check"]
        told = replace(
            answered,
            text=_raw(case, "kem_ciphertext"),
            kem_secret=_raw(case, "kem_secret"),
            three=_raw(case, "message_3"),
        )
        _check_met(case, met, told.hear_four(_raw(case, "message_4")))

    _judge(case, work)


def _check_met(case: Case, host_met: Met, guest_met: Met) -> None:
    assert host_met.shared == guest_met.shared == _raw(case, "shared")
    assert host_met.transcript == guest_met.transcript == _raw(case, "transcript")
    assert host_met.person.raw == _raw(case, "guest_person")
    assert host_met.introduction.name == case["guest_name"]
    assert host_met.introduction.number == case["guest_number"]
    assert guest_met.introduction.number == case["host_number"]


def test_the_vectors_say_how_each_refusal_comes_about() -> None:
    codes = {
        case["error"]
        for name in FILES
        for case in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        if "error" in case
    }

    assert codes >= {
        "malformed", "unknown-version", "not-signed", "weak-key", "not-for-us", "broken",
        "downgraded", "wrong-author", "device-unknown", "body-swapped", "commitment-broken",
    }  # fmt: skip


@pytest.mark.parametrize("case", _cases("archive"))
def test_segments_are_opened_as_written(case: Case) -> None:
    def work() -> None:
        segment = Segment.decode(_raw(case, "segment"))
        key = PersonKey(case["generation"], _raw(case, "person_secret"))
        content = open_segment(segment, [key])
        assert content == (bytes(case["zeros"]) if "zeros" in case else _raw(case, "content"))
        assert segment.head.hash == _raw(case, "hash")

    _judge(case, work)


@pytest.mark.parametrize("name", ["keys", "ratchet", "envelope", "item"])
def test_the_vectors_are_those_that_the_generator_writes(name: str) -> None:
    written = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    assert json.loads(json.dumps(FILES[name]())) == written
