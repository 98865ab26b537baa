"""Writes the test vectors for keys, sessions, envelopes, items and adding a contact.

    .venv/bin/python -m tests.vectors.make_keys

Everything random comes out of a hash, so that a second run writes the same files, except for
ML-KEM ciphertexts, whose randomness is OpenSSL's: the vectors carry the ciphertext and the secret
key, and are for the side that opens. Bytes are hexadecimal. A case with `error` must be refused
with that code (docs/protocol.md §12); one with `like` has all that it does not say from the case of
that name.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nacl.signing import SigningKey

from peer.devices.belongings import Kind, key_of
from peer.devices.clock import Stamp
from peer.devices.log import plain_batch, plain_snapshot
from peer.devices.merges import Dotted, ReadMark
from peer.devices.state import Entry, joined
from peer.items.kinds import (
    ArchiveHead,
    CardUpdate,
    Content,
    File,
    Gone,
    HeadAsk,
    HeadTold,
    Heartbeat,
    Item,
    Lanes,
    Letter,
    Range,
    Resend,
    Reset,
    Unknown,
)
from peer.keys.contact_exchange import Guest, Host
from peer.keys.device_exchange import NewDevice, OldDevice
from peer.keys.envelope import Envelope, Packet, PacketKind, seal_body, seal_envelope
from peer.keys.file_key import Cost, FileKey, Header
from peer.keys.grant import Grant, Offer
from peer.keys.helping import Help, help_number, rehearsal_proof, seal_help, share_proof_key
from peer.keys.introduction import Introduction
from peer.keys.person import (
    BoxKey,
    Device,
    Identity,
    PairKey,
    PersonKey,
    recovery_box,
    root_key,
)
from peer.keys.person_records import write_record
from peer.keys.primitives import Encapsulation, Exchange, Random, seal
from peer.keys.ratchet import HEADER, DoubleRatchet
from peer.keys.segments import seal_segment
from peer.keys.sessions import Agreement, Party, Prekeys, SetUp, about, initiate
from peer.keys.shares import friends_secret, join, mark_of, proof_key
from peer.keys.signed_items import SignedItem, write_item
from peer.keys.state_seals import seal_batch, seal_snapshot
from peer.keys.words import words_of
from wire.archive import Head, Segment, SignedHead, body_hash
from wire.card import (
    NO_PREVIOUS,
    Card,
    DeviceEntry,
    GatewayEntry,
    Position,
    Role,
    Signed,
    Statement,
    StatementKind,
)
from wire.codec import Value, decode, encode
from wire.codes import ContactCode, DeviceCode, ShownBy
from wire.ids import DeviceId, DeviceKey, GatewayId, ParcelId, PersonId, SlotId
from wire.kdf import framed, hkdf
from wire.lanes import LaneClass, LaneSecret
from wire.places import Place
from wire.prekeys import Bundle, Prekey, PrekeyKind
from wire.signing import sign
from wire.state_log import Batch, Snapshot

FOLDER: Final = Path(__file__).parents[2] / "docs" / "vectors"
NOW: Final = 1_790_000_000

Case = dict[str, Any]


def stream(name: str) -> Random:
    """Return a source of bytes that gives the same ones each time."""
    counter = 0

    def random(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{name}/{counter}".encode("ascii")).digest(size)

    return random


class Someone:
    """A person with one device and a card, made of her name."""

    def __init__(self, name: str) -> None:
        random = stream(name)
        self.seed = random(16)
        root = root_key(self.seed)
        public = bytes(root.verify_key)
        person = PersonId.of_root(public)
        self.identity = Identity(person, Device.generate(random), PersonKey.generate(1, random))
        device = self.identity.device
        statement = Statement(
            StatementKind.ROOT,
            public,
            epoch=1,
            seq=0,
            prev=NO_PREVIOUS,
            devices=(DeviceEntry(device.key, device.exchange.public, Role.PHONE),),
            person_generation=1,
            person_public=self.identity.person_key.box.public,
            gateways=(GatewayEntry(GatewayId(random(32)), ("192.0.2.7:4433",)),),
            issued=NOW,
            expires=NOW + 90 * 86_400,
            signer=public,
        )
        self.card = Card.begin(person, Signed.make(statement, root))

    @property
    def party(self) -> Party:
        """The device as one end of a session."""
        device = self.identity.device
        return Party(self.identity.person, device.key, device.exchange.public)


ANA, BEN = Someone("ana"), Someone("ben")


def keys() -> list[Case]:
    """Roots, person keys, pair keys and their children."""
    cases: list[Case] = []
    for name, someone in (("ana", ANA), ("ben", BEN)):
        key = root_key(someone.seed)
        cases.append(
            {
                "name": f"the root key of {name}",
                "kind": "root",
                "seed": someone.seed.hex(),
                "root_public": bytes(key.verify_key).hex(),
                "person": someone.identity.person.raw.hex(),
            }
        )
        cases.append(
            {
                "name": f"the words of {name}’s kit",
                "kind": "words",
                "seed": someone.seed.hex(),
                "words": " ".join(words_of(someone.seed)),
            }
        )
        person_key = someone.identity.person_key
        cases.append(
            {
                "name": f"the box key of {name}",
                "kind": "box",
                "seed": person_key.seed.hex(),
                "box_public": person_key.box.public.hex(),
            }
        )
    cases += _shares()
    shared = stream("shared")(32)
    for generation in (1, 2):
        own = PersonKey(generation, ANA.identity.person_key.seed)
        theirs = BoxKey(BEN.identity.person, 1, BEN.identity.person_key.box.public)
        key_ = PairKey.of(ANA.identity.person, own, theirs=theirs, shared=shared)
        there = {"sender": ANA.identity.person, "recipient": BEN.identity.person}
        cases.append(
            {
                "name": f"the pair key of ana in generation {generation} and ben in 1",
                "kind": "pair",
                "person": ANA.identity.person.raw.hex(),
                "generation": generation,
                "seed": own.seed.hex(),
                "their_person": BEN.identity.person.raw.hex(),
                "their_generation": 1,
                "their_public": theirs.public.hex(),
                "shared": shared.hex(),
                "pair_key": key_.secret.hex(),
                "envelope_there": key_.child("envelope", **there).hex(),
                "envelope_back": key_.child(
                    "envelope", sender=BEN.identity.person, recipient=ANA.identity.person
                ).hex(),
                "tag_there": key_.child("tag", **there).hex(),
                "gossip_there": key_.child("gossip", **there).hex(),
            }
        )
    for name, weak in (
        ("zero", bytes(32)),
        ("one", b"\x01" + bytes(31)),
        ("p - 1", bytes.fromhex("ec" + "ff" * 30 + "7f")),
        ("order 8", bytes.fromhex(
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
        )),
        ("31 bytes", bytes(31)),
    ):  # fmt: skip
        cases.append(
            {
                "name": f"a weak X25519 key: {name}",
                "kind": "agree",
                "secret": ANA.identity.device.exchange.secret.hex(),
                "public": weak.hex(),
                "error": "weak-key",
            }
        )
    return cases


_FRIENDS = (
    "5c2d10110218db5b2feeac4f15d8f0b9c6e03594380dcb9e29",
    "5c2d1011123fcfed360daaad322aaeda2aae7b485c21795246",
    "5c2d101122057e7e85ddafc2698db99d6e4e370e8c28923978",
    "5c2d101132226ac89c3ea9204e7fe7fe820079d2e80420f517",
    "5c2d1011423027abddca136bb4e53fec817b8a64b683620350",
)
"""Shares of the seed 00 01 … 0f, three of which are needed: made once, for splitting draws lots."""
_GATEWAY = "5c2d1111001160e168448830759ed0d3ce9efdb405c0355cf7"


def _shares() -> list[Case]:
    """Return the cases of a seed in shares, and of what is sealed to a device that asks."""
    friends = [bytes.fromhex(one) for one in _FRIENDS]
    asking = Exchange(stream("asking")(32))
    answer = Help(
        ANA.identity.person,
        "Ben",
        stream("set")(16),
        friends[0],
        3,
        b"".join(map(mark_of, friends)),
        GatewayId(stream("gateway")(32)),
        ("192.0.2.7:4433",),
        (ANA.identity.device.id,),
    )
    nonce = stream("nonce")(16)
    return [
        {
            "name": "three of five friends and a gateway",
            "kind": "shares",
            "friends": [_FRIENDS[4], _FRIENDS[0], _FRIENDS[2]],
            "gateway": _GATEWAY,
            "seed": join(friends[2:], bytes.fromhex(_GATEWAY)).hex(),
            "proof_key": proof_key(friends_secret(friends)).hex(),
            "mark": mark_of(friends[4]).hex(),
            "rehearsal_nonce": nonce.hex(),
            "rehearsal_proof": rehearsal_proof(share_proof_key(friends[4]), nonce).hex(),
        },
        {
            "name": "a friend’s answer to a device that asks",
            "kind": "help",
            "secret": asking.secret.hex(),
            "number": help_number(asking.public),
            "sealed": seal_help(answer, to=asking.public, random=stream("help")).hex(),
            "content": answer.encode().hex(),
        },
    ]


def sessions() -> list[Case]:
    """Set-ups of sessions, and those that are refused."""
    cases: list[Case] = []
    for one_time in (True, False):
        random = stream(f"session/{one_time}")
        signed, kem, once = (
            Exchange.generate(random), Encapsulation.generate(random), Exchange.generate(random),
        )  # fmt: skip
        kind = PrekeyKind.ONE_TIME_KEM if one_time else PrekeyKind.LAST_RESORT
        prekeys = Prekeys(
            (7, signed.public), (8, kem.public), kind, (9, once.public) if one_time else None
        )
        set_up, agreed = initiate(
            ANA.identity.device.exchange,
            initiator=ANA.party,
            responder=BEN.party,
            prekeys=prekeys,
            random=random,
        )
        case = _session_case(set_up, agreed)
        case["name"] = f"a set-up {'with' if one_time else 'without'} one-time keys"
        case["signed_secret"], case["kem_seed"] = signed.secret.hex(), kem.seed.hex()
        case["one_time_secret"] = once.secret.hex() if one_time else None
        cases.append(case)
    value = decode(set_up.encode(), limit=2000)
    assert isinstance(value, dict)
    without = {key: one for key, one in value.items() if key not in (3, 4, 5)}
    for name, data, error in (
        ("no post-quantum half", encode(without), "downgraded"),
        ("no ciphertext", encode({**value, 5: None}), "malformed"),
        ("version 0", encode({**value, 0: 0}), "unknown-version"),
        ("a field too many", encode({**value, 7: 0}), "malformed"),
        ("the ML-KEM key of kind 3", encode({**value, 3: 3}), "malformed"),
        ("cut short", set_up.encode()[:-1], "malformed"),
        ("an ephemeral key of low order", encode({**value, 1: bytes(32)}), "weak-key"),
    ):
        like = cases[1]["name"]
        cases.append({"name": name, "like": like, "set_up": data.hex(), "error": error})
    return cases


def _session_case(set_up: SetUp, agreed: Agreement) -> Case:
    case: Case = {}
    for name, someone in (("initiator", ANA), ("responder", BEN)):
        case[f"{name}_person"] = someone.identity.person.raw.hex()
        case[f"{name}_device"] = someone.identity.device.key.raw.hex()
        case[f"{name}_exchange"] = someone.identity.device.exchange.public.hex()
    return {
        **case,
        "responder_exchange_secret": BEN.identity.device.exchange.secret.hex(),
        "set_up": set_up.encode().hex(),
        "transcript": agreed.transcript.hex(),
        "secret": agreed.secret.hex(),
        "session": agreed.id.raw.hex(),
        "about_there": about(agreed.transcript, sender=ANA.party, recipient=BEN.party).hex(),
        "about_back": about(agreed.transcript, sender=BEN.party, recipient=ANA.party).hex(),
    }


def ratchet() -> list[Case]:
    """One conversation: what each side draws at random, seals and opens, in order."""
    random = stream("ratchet")
    secret, own, there, back = random(32), Exchange(random(32)), b"there", b"back"
    draws = {name: random(32) for name in ("initiator_0", "responder_0", "initiator_1")}
    first = DoubleRatchet(_drawing([draws["initiator_0"]], "r0")).begin(
        secret, their_key=own.public, plaintext=b"first", about=there
    )
    sealer = DoubleRatchet(stream("r1"))
    second = sealer.seal(first.state, b"second", about=there)
    third = sealer.seal(second.state, b"third", about=there)
    accepted = DoubleRatchet(_drawing([draws["responder_0"]], "r2")).accept(
        secret, own_key=own, message=second.message, about=there
    )
    answer = DoubleRatchet(stream("r3")).seal(accepted.state, b"answer", about=back)
    heard = DoubleRatchet(_drawing([draws["initiator_1"]], "r4")).open(
        third.state, answer.message, about=back
    )
    fourth = DoubleRatchet(stream("r5")).seal(heard.state, b"fourth", about=there)
    chain = fourth.message[:32]
    far = HEADER.pack(chain, 3, 1001) + fourth.message[HEADER.size :]
    both = HEADER.pack(chain, 500, 600) + fourth.message[HEADER.size :]
    altered = fourth.message[:-1] + bytes([fourth.message[-1] ^ 1])
    weak = HEADER.pack(bytes(32), 3, 0) + fourth.message[HEADER.size :]
    steps: list[Case] = [
        {"side": "responder", "message": second.message.hex(), "plaintext": b"second".hex()},
        {"side": "responder", "message": first.message.hex(), "plaintext": b"first".hex()},
        {"side": "responder", "message": second.message.hex(), "error": "duplicate"},
        {"side": "initiator", "message": answer.message.hex(), "plaintext": b"answer".hex()},
        {"side": "responder", "message": far.hex(), "error": "too-far-ahead"},
        {"side": "responder", "message": both.hex(), "error": "too-far-ahead"},
        {"side": "responder", "message": altered.hex(), "error": "broken"},
        {"side": "responder", "message": weak.hex(), "error": "weak-key"},
        {"side": "responder", "message": fourth.message[:39].hex(), "error": "broken"},
        {"side": "responder", "message": fourth.message.hex(), "plaintext": b"fourth".hex()},
        {"side": "responder", "message": third.message.hex(), "plaintext": b"third".hex()},
    ]
    return [
        {
            "name": "letters that overtake each other, an answer, and messages to be refused",
            "secret": secret.hex(),
            "responder_key": own.secret.hex(),
            "about_there": there.hex(),
            "about_back": back.hex(),
            "ratchet_secrets": {name: one.hex() for name, one in draws.items()},
            "initiator_sends": [one.message.hex() for one in (first, second, third)],
            "initiator_plaintexts": [b"first".hex(), b"second".hex(), b"third".hex()],
            "answer": answer.message.hex(),
            "steps": steps,
        }
    ]


def _drawing(keys_: list[bytes], name: str) -> Random:
    """Return randomness that gives these ratchet keys, and nonces of a stream."""
    left, others = list(keys_), stream(name)
    return lambda size: left.pop(0) if size == 32 and left else others(size)


def envelopes() -> list[Case]:
    """Parcel bodies, sealed bodies with their key packets, and those that are refused."""
    random = stream("envelope")
    key, parcel = PairKey(random(32)), ParcelId(random(16))
    item = random(100)
    packet, body = seal_body(item, author=ANA.identity.person, random=random)
    envelope = Envelope(
        ANA.identity.person,
        ANA.identity.device.id,
        42,
        (Packet(BEN.identity.device.id, PacketKind.ONGOING, random(192)),),
        body,
        mine=Position(1, 3, random(32)),
        yours=Position(2, 0, random(32)),
    )
    sealed = _envelope(envelope, key, parcel)
    place = {
        "pair_key": key.secret.hex(),
        "sender": ANA.identity.person.raw.hex(),
        "recipient": BEN.identity.person.raw.hex(),
        "parcel": parcel.raw.hex(),
    }
    cases: list[Case] = [
        {
            **place,
            "name": "an envelope for one device",
            "kind": "envelope",
            "envelope": envelope.encode().hex(),
            "body": sealed.hex(),
        },
        {
            "name": "a body and its key packet",
            "kind": "body",
            "author": ANA.identity.person.raw.hex(),
            "packet": packet.hex(),
            "body": body.hex(),
            "item": item.hex(),
        },
        {
            "name": "a key packet of another body",
            "kind": "body",
            "author": ANA.identity.person.raw.hex(),
            "packet": (packet[:32] + bytes(32) + packet[64:]).hex(),
            "body": body.hex(),
            "error": "body-swapped",
        },
    ]
    inner = envelope.encode()
    wrong = replace(envelope, author=BEN.identity.person).encode()
    double = replace(envelope, packets=envelope.packets * 2).encode()
    for name, data, error in (
        ("for another parcel", _envelope(envelope, key, ParcelId(bytes(16))), "not-for-us"),
        ("under another key", _envelope(envelope, PairKey(bytes(32)), parcel), "not-for-us"),
        ("altered", sealed[:-1] + bytes([sealed[-1] ^ 1]), "not-for-us"),
        ("another suite", b"\x02" + sealed[1:], "unknown-version"),
        ("no padded length", sealed + b"\0", "malformed"),
        ("another author inside", _by_hand(wrong, key, parcel), "wrong-author"),
        ("padding that is not zeros", _by_hand(inner, key, parcel, filler=1), "malformed"),
        ("two packets for one device", _by_hand(double, key, parcel), "malformed"),
        ("no envelope inside", _by_hand(b"", key, parcel), "malformed"),
    ):
        cases.append(
            {**place, "name": name, "kind": "envelope", "body": data.hex(), "error": error}
        )
    return cases


def _envelope(envelope: Envelope, key: PairKey, parcel: ParcelId) -> bytes:
    return seal_envelope(
        envelope,
        key=key,
        recipient=BEN.identity.person,
        parcel=parcel,
        random=stream("envelope/nonce"),
    )


def _by_hand(inner: bytes, key: PairKey, parcel: ParcelId, *, filler: int = 0) -> bytes:
    ana, ben = ANA.identity.person, BEN.identity.person
    plain = len(inner).to_bytes(4, "big") + inner
    plain += bytes([filler]) * (1024 - 41 - len(plain))
    child = key.child("envelope", sender=ana, recipient=ben)
    bound = framed("envelope", b"\x01", ana.raw, ben.raw, parcel.raw)
    return b"\x01" + seal(child, plain, about=bound, random=stream("by-hand"))


CONTENTS: Final[dict[str, Content]] = {
    "letter": Letter("Tea at four? \u2615"),
    "letter with a file": Letter("", File("cat.jpg", "image/jpeg", bytes(range(40)))),
    "resend": Resend(DeviceId(bytes(16)), (Range(3, 3), Range(7, 9))),
    "gone": Gone(DeviceId(bytes(16)), (Range(3, 3),)),
    "heartbeat": Heartbeat(),
    "card": CardUpdate((b"statement",)),
    "card-prolonged": CardUpdate((b"statement",), b"freshness note"),
    "lanes": Lanes(((LaneClass.LETTER, LaneSecret(bytes(range(32)))),)),
    "reset": Reset(DeviceId(bytes(16)), 12, (Range(11, 12),)),
    "archive-head": ArchiveHead(b"signed head"),
    "head-ask": HeadAsk(),
    "head-told": HeadTold(b"signed head", (b"statement",)),
    "a kind of tomorrow": Unknown(77, {0: "kept"}),
}


def items() -> list[Case]:
    """A signed item of each kind, and those that are refused."""
    card = [one.hex() for one in ANA.card.chain]
    person = ANA.identity.person.raw.hex()
    cases: list[Case] = []
    for name, content in CONTENTS.items():
        item = write_item(content, identity=ANA.identity, now=NOW, random=stream(name))
        kind = decode(item.item.encode(), limit=5000)
        assert isinstance(kind, dict)
        cases.append(
            {
                "name": name,
                "person": person,
                "card": card,
                "raw": item.raw.hex(),
                "id": item.id.raw.hex(),
                "item_kind": kind[1],
                "time": item.item.time,
            }
        )
    letter = write_item(Letter("hello"), identity=ANA.identity, now=NOW, random=stream("bad"))
    bens = write_item(Letter("hello"), identity=BEN.identity, now=NOW, random=stream("bad"))
    elsewhere = Identity(ANA.identity.person, BEN.identity.device, ANA.identity.person_key)
    ghost = write_item(Letter("hello"), identity=elsewhere, now=NOW, random=stream("bad"))
    for name, raw, error in (
        ("another person's", bens.raw, "wrong-author"),
        ("of a device that is not on the card", ghost.raw, "device-unknown"),
        ("signed as something else", _signed(letter, "login"), "not-signed"),
        ("signed by nobody", _body_with(letter, bytes(64)), "not-signed"),
        ("a letter without text", _changed({6: {}}), "malformed"),
        ("a nonce of 15 bytes", _changed({5: bytes(15)}), "malformed"),
        ("a resend with a range from 0", _changed({1: 2, 6: {0: bytes(16), 1: [[0, 1]]}}),
         "malformed"),
        ("not an item", b"\x80", "malformed"),
    ):  # fmt: skip
        cases.append(
            {"name": name, "person": person, "card": card, "raw": raw.hex(), "error": error}
        )
    return cases


def _signed(item: SignedItem, kind: str) -> bytes:
    body = item.item.encode()
    return encode([body, sign(ANA.identity.device.signing, kind, body)])


def _body_with(item: SignedItem, signature: bytes) -> bytes:
    return encode([item.item.encode(), signature])


def _changed(changes: dict[int, Any]) -> bytes:
    item = Item(ANA.identity.person, ANA.identity.device.id, 1, bytes(16), Letter("hello"))
    value = decode(item.encode(), limit=5000)
    assert isinstance(value, dict)
    body = encode({**value, **changes})
    return encode([body, sign(ANA.identity.device.signing, "item", body)])


def exchanges() -> list[Case]:
    """Adding a contact, and messages that are refused."""
    random = stream("exchange")
    place = Place("192.0.2.7")
    code = ContactCode(
        ANA.identity.person, bytes(16), SlotId(random(16)), NOW + 600, random(16), place
    )
    host, code_secret = Host.begin(code, random=random), random(32)
    guest = Guest.begin(host.code, random=lambda _size: code_secret)
    host = host.hear_one(guest.message_one)
    guest = guest.hear_two(host.message_two)
    guest = guest.introduce(_introduction(BEN, 1), device=BEN.identity.device, random=random)
    assert guest.three is not None
    host, met = host.hear_three(guest.three)
    host = host.introduce(_introduction(ANA, 5), device=ANA.identity.device, random=random)
    assert guest.kem_secret is not None
    assert host.four is not None
    whole: Case = {
        "name": "two people add each other",
        "code": host.code.text(),
        "host_exchange_secret": host.exchange.secret.hex(),
        "host_kem_seed": host.kem.seed.hex(),
        "guest_exchange_secret": guest.exchange.secret.hex(),
        "kem_ciphertext": (guest.text or b"").hex(),
        "kem_secret": guest.kem_secret.hex(),
        "message_1": guest.message_one.hex(),
        "message_2": host.message_two.hex(),
        "message_3": guest.three.hex(),
        "message_4": host.four.hex(),
        "check": host.check,
        "transcript": met.transcript.hex(),
        "shared": met.shared.hex(),
        "guest_person": BEN.identity.person.raw.hex(),
        "guest_name": "Ben",
        "guest_number": 1,
        "host_number": 5,
    }
    two = bytearray(host.message_two)
    two[-1] ^= 1
    three = bytearray(guest.three)
    three[-1] ^= 1
    four = bytearray(host.four)
    four[-1] ^= 1
    weak = encode({0: 1, 1: bytes(32)})
    bad = [
        ("another host key", {"message_2": bytes(two).hex()}, "commitment-broken"),
        ("message 3 altered", {"message_3": bytes(three).hex()}, "broken"),
        ("message 4 altered", {"message_4": bytes(four).hex()}, "broken"),
        ("message 1 of version 2", {"message_1": encode({0: 2, 1: bytes(32)}).hex()},
         "unknown-version"),
        ("message 1 of low order", {"message_1": weak.hex()}, "weak-key"),
        ("message 1 without a key", {"message_1": encode({0: 1}).hex()}, "malformed"),
    ]  # fmt: skip
    like = {"like": whole["name"]}
    refused = [{**like, **changes, "name": name, "error": error} for name, changes, error in bad]
    return [whole, *refused]


def _introduction(someone: Someone, number: int) -> Introduction:
    random = stream(f"introduction/{someone.identity.person.text}")
    lanes = (
        (LaneClass.LETTER, LaneSecret(random(32))),
        (LaneClass.ORDINARY, LaneSecret(random(32))),
    )
    key, device = someone.identity.device.signing, someone.identity.device.key
    bundle = Bundle(
        device,
        _prekey(key, PrekeyKind.SIGNED, Exchange(random(32)).public),
        _prekey(key, PrekeyKind.ONE_TIME_KEM, Encapsulation(random(64)).public),
        _prekey(key, PrekeyKind.ONE_TIME, Exchange(random(32)).public),
    )
    name = "Ana" if someone is ANA else "Ben"
    return Introduction(someone.card, DeviceKey(device.raw), lanes, bundle, name, number)


def _prekey(key: SigningKey, kind: PrekeyKind, public: bytes) -> Prekey:
    return Prekey.sign(key, kind=kind, id=1, public=public)


def person_keys() -> list[Case]:
    """Records of person keys, and those that a device or the kit does not take."""
    random = stream("records")
    device, first = ANA.identity.device, ANA.identity.person_key
    second = PersonKey.generate(2, random)
    recovery = recovery_box(ANA.seed)
    record = write_record(
        ANA.card, device, key=first, before=None, recovery=recovery.public, random=random
    )
    newest = ANA.card.newest.statement
    turned = replace(
        newest,
        kind=StatementKind.DEVICE,
        seq=1,
        prev=ANA.card.newest.hash,
        person_generation=2,
        person_public=second.box.public,
        signer=device.key.raw,
    )
    card, _ = ANA.card.take(Signed.make(turned, device.signing))
    later = write_record(
        card, device, key=second, before=first, recovery=recovery.public, random=random
    )
    where = {
        "signing_secret": bytes(device.signing).hex(),
        "exchange_secret": device.exchange.secret.hex(),
        "seed": ANA.seed.hex(),
        "recovery_public": recovery.public.hex(),
    }
    cases = [
        {**where, "name": "the first generation", "chain": [one.hex() for one in ANA.card.chain],
         "record": record.encode().hex(), "secret": first.seed.hex()},
        {**where, "name": "the second, with the first under it",
         "chain": [one.hex() for one in card.chain], "record": later.encode().hex(),
         "secret": second.seed.hex(), "before": first.seed.hex()},
    ]  # fmt: skip
    box = bytearray(record.devices[0][1])
    box[-1] ^= 1
    altered = replace(record, devices=((device.id, bytes(box)),)).signed(device.signing)
    foreign = replace(record, public=second.box.public).signed(device.signing)
    weak = replace(record, devices=((device.id, bytes(32) + bytes(box[32:])),))
    data = bytearray(record.encode())
    data[-1] ^= 1
    like = {"like": cases[0]["name"]}
    bad = [
        ("a box that was altered", altered.encode(), "broken"),
        ("the box key of another secret", foreign.encode(), "broken"),
        ("a box of low order", weak.signed(device.signing).encode(), "weak-key"),
        ("another signature", bytes(data), "not-signed"),
        ("one byte more", record.encode() + b"\0", "malformed"),
    ]
    return [*cases, *({**like, "name": name, "record": raw.hex(), "error": error}
                      for name, raw, error in bad)]  # fmt: skip


def states() -> list[Case]:
    """The state log: keys, values that are joined, batches and snapshots that are opened."""
    device, key, random = ANA.identity.device, ANA.identity.person_key, stream("state")
    names = hkdf(key.seed, info=b"homepost/state-names/1")
    ben, tablet = BEN.identity.person.raw, random(16)
    about: list[tuple[Kind, list[str | bytes | int]]] = [
        (Kind.NOTE, ["name"]),
        (Kind.PETNAME, [ben]),
        (Kind.BOX_KEY, [ben, 1]),
        (Kind.READ, [ben, BEN.identity.device.id.raw]),
    ]
    cases: list[Case] = [
        {"name": f"a key of kind {kind}", "kind": "key", "seed": key.seed.hex(), "about": int(kind),
         "parts": [one.hex() if isinstance(one, bytes) else one for one in parts],
         "key": key_of(names, kind, *parts).hex()}
        for kind, parts in about
    ]  # fmt: skip
    stamps = [Stamp(1 << 16, (NOW * 1000 << 16) + number, device.id.raw, 3) for number in range(4)]
    other = replace(stamps[1], device=tablet)
    base = Dotted().put(tablet, b"")
    named, read, block, member = (
        key_of(names, kind, ben) for kind in (Kind.PETNAME, Kind.READ, Kind.BLOCK, Kind.MEMBER)
    )
    joins = [
        ("the later of two names", named, (stamps[0], b"1"), (stamps[1], b"2")),
        (
            "a later epoch beats any time",
            named,
            (stamps[3], b"1"),
            (Stamp(2 << 16, 0, tablet, 1), b"2"),
        ),
        ("at one time the higher device", named, (stamps[1], b"1"), (other, b"2")),
        ("a removed name", named, (stamps[0], b"1"), (stamps[1], None)),
        (
            "a member at one time is removed",
            member,
            (replace(other, device=b"\xff" * 16), b""),
            (stamps[1], None),
        ),
        (
            "read on either device",
            read,
            (stamps[0], ReadMark(7, frozenset({3, 5})).encode()),
            (stamps[1], ReadMark(4, frozenset({1})).encode()),
        ),
        (
            "put back on one, read on the other",
            read,
            (stamps[0], ReadMark(7).with_unread(tablet, 3).encode()),
            (stamps[1], ReadMark(9).encode()),
        ),
        (
            "an unblock that has seen the block",
            block,
            (stamps[0], encode([ben, base.to_value()])),
            (stamps[1], encode([ben, base.cleared().to_value()])),
        ),
        (
            "an unblock beside another block",
            block,
            (stamps[0], encode([ben, base.put(device.id.raw, b"").to_value()])),
            (stamps[1], encode([ben, base.cleared().to_value()])),
        ),
    ]
    for name, joined_key, one, two in joins:
        entries = [Entry(joined_key, *one), Entry(joined_key, *two)]
        cases.append({"name": name, "kind": "join", "key": joined_key.hex(),
                      "one": _entry(entries[0]), "other": _entry(entries[1]),
                      "joined": _entry(joined(*entries))})  # fmt: skip
    changes = [Entry(named, stamps[0], encode([ben, "Benny"])), Entry(member, stamps[1], None)]
    sealed = seal_batch(key, plain_batch(changes), device=device.id, seq=3, random=random)
    signing = device.signing
    batch = Batch.sign(signing, device=device.id, seq=3, generation=1, sealed=sealed)
    plain = plain_snapshot(changes, {DeviceId(tablet): 7})
    vector = {device.id: 3, DeviceId(tablet): 7}
    whole = seal_snapshot(key, plain, device=device.id, random=random)
    snapshot = Snapshot.sign(signing, device=device.id, generation=1, vector=vector, sealed=whole)
    where = {"seed": key.seed.hex(), "device_key": device.key.raw.hex()}
    told = [{"key": one.key.hex(), **_entry(one)} for one in changes]
    cases += [
        {**where, "name": "a batch", "kind": "batch", "bytes": batch.encode().hex(), "seq": 3,
         "entries": told},
        {**where, "name": "a snapshot", "kind": "snapshot", "bytes": snapshot.encode().hex(),
         "vector": {one.raw.hex(): seq for one, seq in vector.items()},
         "cuts": {tablet.hex(): 7}, "entries": told},
    ]  # fmt: skip
    epoch = [Entry(named, replace(stamps[0], epoch=2 << 16), b"1")]
    ahead = seal_batch(key, plain_batch(epoch), device=device.id, seq=3, random=random)
    bad = [
        ("another number", replace(batch, seq=4).encode(), "not-signed"),
        (
            "signed anew under another number",
            Batch.sign(signing, device=device.id, seq=4, generation=1, sealed=sealed).encode(),
            "broken",
        ),
        (
            "an epoch of a person key it was not sealed with",
            Batch.sign(signing, device=device.id, seq=3, generation=1, sealed=ahead).encode(),
            "malformed",
        ),
        ("one byte more", batch.encode() + b"\0", "malformed"),
    ]
    return [*cases, *({"like": "a batch", "name": name, "bytes": raw.hex(), "error": error}
                      for name, raw, error in bad)]  # fmt: skip


def _entry(entry: Entry) -> dict[str, Any]:
    stamp, value = entry.stamp, entry.value
    return {"stamp": [stamp.epoch, stamp.time, stamp.device.hex(), stamp.seq],
            "value": None if value is None else value.hex()}  # fmt: skip


def archive() -> list[Case]:
    """Segments of an archive, for the side that opens: a stream begins with libsodium's dice."""
    first = seal_segment(b"the content", identity=ANA.identity, on=None)
    second = seal_segment(b"", identity=ANA.identity, on=first.head)
    long = seal_segment(bytes(65_600), identity=ANA.identity, on=second.head)
    where = {
        "generation": ANA.identity.person_key.generation,
        "person_secret": ANA.identity.person_key.seed.hex(),
    }
    cases: list[Case] = [
        {**where, "name": "the first", "segment": first.encode().hex(),
         "content": b"the content".hex(), "hash": first.head.hash.hex()},
        {**where, "name": "the second, with nothing in it", "segment": second.encode().hex(),
         "content": "", "hash": second.head.hash.hex()},
        {**where, "name": "the third, of two chunks of zeros", "segment": long.encode().hex(),
         "zeros": 65_600, "hash": long.head.hash.hex()},
    ]  # fmt: skip
    whole = [first.head.encode(), first.signed.signature, first.body]
    turned = bytearray(first.body)
    turned[-1] ^= 1

    def signed(head: Head, body: bytes) -> bytes:
        key = ANA.identity.device.signing
        return Segment(SignedHead.sign(head, key), body).encode()

    other = replace(first.head, body_hash=body_hash(bytes(turned)))
    cut = second.body[:-1]
    short = replace(second.head, body_hash=body_hash(cut), body_size=len(cut))
    elsewhere = replace(second.head, before=bytes(31) + b"\1")
    bad = [
        ("another body", encode([*whole[:2], bytes(turned)]), "not-signed"),
        ("another body, signed", signed(other, bytes(turned)), "broken"),
        ("another signature", encode([whole[0], bytes(64), whole[2]]), "not-signed"),
        ("without its last byte, signed", signed(short, cut), "broken"),
        ("after another head, signed", signed(elsewhere, second.body), "broken"),
        ("of another generation", signed(replace(first.head, generation=2), first.body),
         "generation-unknown"),
        ("a second one after none", signed(replace(second.head, before=bytes(32)), second.body),
         "malformed"),
        ("one byte more", first.encode() + b"\0", "malformed"),
    ]  # fmt: skip
    return [*cases, *({**where, "name": name, "segment": raw.hex(), "error": error}
                      for name, raw, error in bad)]  # fmt: skip


def file_keys() -> list[Case]:
    """Headers of a phone's file under a PIN and under a keyring, and those that do not open."""
    random = stream("file-key")
    key = FileKey.generate(random)
    pin, cost = "caf\u00e9 correct horse", Cost(1, 8)
    header = Header.under_pin(key, pin, cost=cost, random=random)
    kept = random(32)
    ring = Header.under_keyring(key, kept, random=random)
    fields: dict[int, Value] = {
        0: 1, 1: header.id, 2: 0, 3: header.salt, 4: cost.passes, 5: cost.memory, 6: header.sealed
    }  # fmt: skip

    def altered(**changes: Value) -> str:
        return encode({**fields, **{int(name[1:]): value for name, value in changes.items()}}).hex()

    whole = {
        "name": "under a PIN",
        "header": header.encode().hex(),
        "pin": pin,
        "id": key.id.hex(),
        "key": key.secret.hex(),
    }
    like = {"like": whole["name"]}
    return [
        whole,
        {**like, "name": "its PIN on another keyboard", "pin": "cafe\u0301 correct horse"},
        {
            "name": "under a keyring",
            "header": ring.encode().hex(),
            "kept": kept.hex(),
            "id": key.id.hex(),
            "key": key.secret.hex(),
        },
        {**like, "name": "another PIN", "pin": "cafe correct horse", "error": "wrong-pin"},
        {**like, "name": "another id", "header": altered(f1=bytes(16)), "error": "wrong-pin"},
        {**like, "name": "one pass more", "header": altered(f4=2), "error": "wrong-pin"},
        {**like, "name": "65 passes", "header": altered(f4=65), "error": "malformed"},
        {**like, "name": "over 4 GiB", "header": altered(f5=(4 << 20) + 1), "error": "malformed"},
        {**like, "name": "version 2", "header": altered(f0=2), "error": "unknown-version"},
        {**like, "name": "an unknown lock", "header": altered(f2=2), "error": "malformed"},
        {**like, "name": "a field more", "header": altered(f7=0), "error": "malformed"},
    ]


def device_exchanges() -> list[Case]:
    """A device lets another one in, by either screen; and what each refuses."""
    cases: list[Case] = []
    for by in ShownBy:
        random = stream(f"device/{by.name}")
        blank = DeviceCode(
            by, bytes(16), SlotId(random(16)), NOW + 600, bytes(16), Place("192.0.2.7")
        )
        tablet = Device.generate(random)
        offer = Offer(DeviceEntry(tablet.key, tablet.exchange.public, Role.TABLET), "tablet")
        if by is ShownBy.NEW:
            new = NewDevice.showing(blank, random=random)
            old = OldDevice.reading(new.code, random=random)
            new = new.reveal(old.opening_message, offer, device=tablet, random=random)
            old = old.hear_revealing(new.revealing)
            offering = b""
        else:
            old = OldDevice.showing(blank, random=random)
            new = NewDevice.reading(old.code, random=random)
            old = old.reveal(new.opening_message)
            new = new.hear_revealing(old.revealing)
            offering = new.offering(offer, device=tablet, random=random)
            old = old.hear_offer(offering)
        grant = Grant(
            ANA.identity.person,
            "Ana",
            ANA.identity.person_key,
            ANA.card.position,
            recovery_box(ANA.seed).public,
            ANA.card.gateways[0].gateway,
            ANA.card.gateways[0].places,
            ((ANA.identity.device.id, "phone"), (tablet.id, "tablet")),
        )
        kem = new.kem or old.kem
        assert kem is not None
        cases.append(
            {
                "name": f"the {by.name.lower()} device shows the code",
                "code": new.code.text(),
                "new_exchange": new.exchange.secret.hex(),
                "old_exchange": old.exchange.secret.hex(),
                "kem_seed": kem.seed.hex(),
                "kem_secret": old.kem_secret.hex(),
                "opening": new.opening.hex(),
                "revealing": new.revealing.hex(),
                "offering": offering.hex(),
                "granting": old.granting(grant, random=random).hex(),
                "check": new.check,
                "device": tablet.key.raw.hex(),
                "person": grant.person.raw.hex(),
                "secret": grant.person_key.seed.hex(),
            }
        )
    altered = bytearray.fromhex(cases[0]["granting"])
    altered[-1] ^= 1
    weak = encode({0: 1, 1: bytes(32)})
    bad = [
        ("a grant that was altered", {"granting": bytes(altered).hex()}, "broken"),
        ("an opening of low order", {"opening": weak.hex()}, "weak-key"),
        ("an opening without a key", {"opening": encode({0: 1}).hex()}, "malformed"),
        ("a revealing of another", {"revealing": cases[1]["revealing"]}, "commitment-broken"),
    ]
    like = {"like": cases[0]["name"]}
    return [*cases, *({**like, **changes, "name": name, "error": error}
                      for name, changes, error in bad)]  # fmt: skip


FILES: Final = {
    "device-exchange": device_exchanges,
    "archive": archive,
    "keys": keys,
    "person-key": person_keys,
    "state": states,
    "session": sessions,
    "ratchet": ratchet,
    "envelope": envelopes,
    "item": items,
    "contact-exchange": exchanges,
    "file-key": file_keys,
}


def main() -> None:
    """Write all files."""
    for name, cases in FILES.items():
        text = json.dumps(cases(), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
