"""Every parser that is fed by strangers, contacts, gateways or the owner, with good examples.

Each reads bytes and may raise the errors that it names, and no others. Where a thing has one
spelling, `again` gives it back. The examples are those of docs/vectors, so that whoever searches at
random begins behind the first door.
"""

import base64
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import segno

from gateway.config import SettingsError, load_config
from gateway.relay.outbound import AddressRefused, read_address
from peer.codes.errors import CodesError
from peer.codes.picture import code_in
from peer.items.kinds import Item
from peer.keys.contact_exchange import Guest, Host
from peer.keys.envelope import SUITE, Envelope, open_body, open_envelope
from peer.keys.errors import KeysError
from peer.keys.person import PairKey
from peer.keys.primitives import Exchange, seal, system_random
from peer.keys.ratchet import DoubleRatchet
from peer.keys.sessions import SetUp
from peer.keys.signed_items import SignedItem, read_item
from wire.auth import LaneOpening, Login
from wire.card import Card, FreshnessNote, Signed
from wire.certificate import check_extension
from wire.codec import Value, decode, encode
from wire.codes import ContactCode, GatewayCode
from wire.errors import Malformed, WireError
from wire.frames import Cursor, decode_frame, encode_frame
from wire.ids import CursorEpoch, DeviceKey, GatewayId, ParcelId, PersonId
from wire.kdf import framed
from wire.lanes import LaneRight
from wire.padding import padded_length
from wire.pairing import PairAnswer, PairRequest
from wire.parcel import MIN_BODY, Parcel, read_parcel
from wire.places import Place
from wire.prekeys import decode_bundles, decode_upload, encode_bundles, encode_upload
from wire.pushes import Address, Hours, Reach, decode_rules, decode_whys, encode_whys

VECTORS: Final = Path(__file__).parents[2] / "docs" / "vectors"
Case = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parser:
    """One of them."""

    read: Callable[[bytes], object]
    good: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = (WireError,)
    again: Callable[[Any], bytes] | None = None
    """Writes what was read; None where a thing has several spellings."""


@cache
def parsers() -> Mapping[str, Parser]:
    """Return all of them, by what they read."""
    return {**_messages(), **_texts(), **_sealed(), **_files()}


def _messages() -> dict[str, Parser]:
    """What phones and gateways say to each other."""
    parcels = _good("parcels", "parcel", "bytes")[:1]  # the other one is two in a row
    lanes = [base64.urlsafe_b64decode(one + "==") for one in _texts_of("lane-opening", "header")]
    upload = next(one for one in _cases("prekeys") if one["op"] == "prekey-upload")
    device = DeviceKey(bytes.fromhex(upload["in"]["device"]))
    note = next(one["in"] for one in _cases("cards") if one["op"] == "freshness-note")
    chain = [bytes.fromhex(one) for one in note["chain"]]
    certificate = next(one["in"] for one in _cases("pairing") if one["op"] == "certificate")
    cursor = Cursor(CursorEpoch(bytes(16)), 7, ParcelId(bytes(16)))
    return {
        "CBOR": Parser(
            lambda data: decode(data, limit=65_536), _good("cbor", "cbor", "bytes"), again=encode
        ),
        "frame": Parser(decode_frame, _good("frames", "frame", "bytes"), again=encode_frame),
        "cursor": Parser(Cursor.decode, (cursor.encode(),), again=Cursor.encode),
        "parcel": Parser(_one_parcel, parcels, again=lambda one: one.header() + one.body),
        "login": Parser(Login.decode, _good("pairing", "login", "bytes"), again=Login.encode),
        "lane opening": Parser(LaneOpening.decode, tuple(lanes), again=LaneOpening.encode),
        "lane right": Parser(
            lambda data: LaneRight.from_value(decode(data, limit=4096)),
            _good("parcels", "lane-right", "bytes"),
            again=lambda one: encode(one.to_value()),
        ),
        "pairing request": Parser(
            PairRequest.decode,
            _good("pairing", "pair-request", "bytes"),
            again=PairRequest.encode,
        ),
        "pairing answer": Parser(
            PairAnswer.decode, _good("pairing", "pair-answer", "bytes"), again=PairAnswer.encode
        ),
        "certificate": Parser(
            lambda data: check_extension(
                data,
                spki=bytes.fromhex(certificate["spki"]),
                gateway=GatewayId(bytes.fromhex(certificate["gateway"])),
            ),
            (bytes.fromhex(certificate["extension"]),),
        ),
        "card statement": Parser(
            Signed.decode, _good("cards", "statement", "bytes"), again=Signed.encode
        ),
        "card": Parser(
            lambda data: Card.follow(PersonId(bytes.fromhex(note["person"])), _list_in(data)),
            (encode(list[Value](chain)),),
        ),
        "freshness note": Parser(
            FreshnessNote.decode, (bytes.fromhex(note["bytes"]),), again=FreshnessNote.encode
        ),
        "prekey upload": Parser(
            lambda data: _verified(device, data),
            _good("prekeys", "prekey-upload", "bytes"),
            again=encode_upload,
        ),
        "prekey bundles": Parser(
            decode_bundles,
            _good("prekeys", "prekey-bundles", "bytes"),
            again=lambda found: encode_bundles(found.bundles, chain=found.chain),
        ),
        "push address": Parser(
            Address.decode, _good("pushes", "push-address", "bytes"), again=Address.encode
        ),
        "push hours": Parser(
            Hours.decode, _good("pushes", "push-hours", "bytes"), again=Hours.encode
        ),
        "push rules": Parser(decode_rules, _good("pushes", "push-rules", "bytes")),
        "push reach": Parser(
            Reach.decode, _good("pushes", "push-reach", "bytes"), again=Reach.encode
        ),
        "push reasons": Parser(
            decode_whys, _good("pushes", "push-why", "bytes"), again=encode_whys
        ),
        "push address of a server": Parser(
            lambda data: read_address(_text(data)),
            (b"https://push.example.net:8443/wpush/v2/abc?d=e", b"https://[2001:db8::1]/x"),
            (WireError, AddressRefused),
        ),
    }


def _texts() -> dict[str, Parser]:
    """What people type, scan and read aloud."""
    return {
        "gateway code": Parser(
            lambda data: GatewayCode.parse(_text(data)), _said("codes", "gateway-code")
        ),
        "contact code": Parser(
            lambda data: ContactCode.parse(_text(data)), _said("codes", "contact-code")
        ),
        "place": Parser(lambda data: Place.parse(_text(data)), _said("codes", "place")),
        "place in a code": Parser(
            Place.decode, _good("codes", "place", "bytes"), again=Place.encode
        ),
        "id": Parser(
            lambda data: ParcelId.from_text(_text(data)),
            (ParcelId(bytes(range(16))).text.encode(),),
            again=lambda one: one.text.encode(),
        ),
        "QR picture": Parser(code_in, (_picture(),), (CodesError,)),
    }


def _sealed() -> dict[str, Parser]:
    """What a contact can put into a parcel, behind each of its seals."""
    envelopes = [one for one in _list("envelope") if "error" not in one]
    body = next(one for one in envelopes if one["kind"] == "body")
    outside = next(one for one in envelopes if one["kind"] == "envelope")
    items = [one for one in _list("item") if "error" not in one]
    exchange = next(one for one in _list("contact-exchange") if "error" not in one)
    code = ContactCode.parse(exchange["code"])
    host, guest = Host.begin(code), Guest.begin(code)
    card = Card.follow(_person(items[0]), [bytes.fromhex(one) for one in items[0]["card"]])
    errors = (WireError, KeysError)
    return {
        "parcel body": Parser(
            lambda plain: _in_a_body(plain, outside),
            (_length(bytes.fromhex(outside["envelope"])),),
            errors,
        ),
        "envelope": Parser(
            Envelope.decode, (bytes.fromhex(outside["envelope"]),), again=Envelope.encode
        ),
        "key packet": Parser(
            lambda data: open_body(
                data, bytes.fromhex(body["body"]), author=PersonId(bytes.fromhex(body["author"]))
            ),
            (bytes.fromhex(body["packet"]),),
            errors,
        ),
        "set-up": Parser(
            SetUp.decode,
            tuple(bytes.fromhex(one["set_up"]) for one in _list("session") if "error" not in one),
            errors,
            again=SetUp.encode,
        ),
        "ratchet message": _ratchet(),
        "signed item": Parser(
            lambda data: read_item(data, card=card),
            tuple(bytes.fromhex(one["raw"]) for one in items),
            errors,
            again=_raw_item,
        ),
        "item": Parser(
            Item.decode,
            tuple(_first_of(bytes.fromhex(one["raw"])) for one in items),
        ),
        "first message of an addition": Parser(
            host.hear_one, (bytes.fromhex(exchange["message_1"]),), errors
        ),
        "second message of an addition": Parser(
            guest.hear_two, (bytes.fromhex(exchange["message_2"]),), errors
        ),
    }


def _files() -> dict[str, Parser]:
    """What the owner writes."""
    settings = 'data = "/d"\nlisten = ["127.0.0.1"]\nport = 4433\nseat_limit = "500 MiB"\n'
    more = 'hosts = ["box.example", "[::1]:9"]\nconnections = 300\nlog_format = "json"\n'
    return {
        "settings": Parser(_settings, (settings.encode(), more.encode(), b"#\n"), (SettingsError,))
    }


def _settings(data: bytes) -> object:
    handle = os.memfd_create("settings")
    try:
        os.write(handle, data)
        return load_config(environ={}, file=Path(f"/proc/self/fd/{handle}"))
    finally:
        os.close(handle)


def _ratchet() -> Parser:
    secret, own = bytes(32), Exchange.generate(system_random)
    begun = DoubleRatchet().begin(secret, their_key=own.public, plaintext=b"1", about=b"")
    next_one = DoubleRatchet().seal(begun.state, b"2", about=b"")
    state = DoubleRatchet().accept(secret, own_key=own, message=begun.message, about=b"").state
    return Parser(
        lambda data: DoubleRatchet().open(state, data, about=b""),
        (next_one.message,),
        (WireError, KeysError),
    )


def _one_parcel(data: bytes) -> Parcel:
    parcel, end = read_parcel(data)
    if end != len(data):
        raise Malformed("bytes after the parcel")
    return parcel


def _verified(device: DeviceKey, data: bytes) -> object:
    found = decode_upload(data)
    for one in found:
        one.verify(device)
    return found


def _list_in(data: bytes) -> list[bytes]:
    match decode(data, limit=1 << 20):
        case list(parts) if all(isinstance(one, bytes) for one in parts):
            return [one for one in parts if isinstance(one, bytes)]
    raise Malformed("no list of byte strings")


def _raw_item(item: SignedItem) -> bytes:
    return item.raw


def _first_of(raw: bytes) -> bytes:
    return _list_in(raw)[0]


def _length(inner: bytes) -> bytes:
    return len(inner).to_bytes(4, "big") + inner


def _in_a_body(plain: bytes, case: Case) -> Envelope:
    """Seal what a contact may seal, and open it as the recipient does."""
    sender, recipient = (PersonId(bytes.fromhex(case[one])) for one in ("sender", "recipient"))
    parcel, key = ParcelId(bytes.fromhex(case["parcel"])), PairKey(bytes.fromhex(case["pair_key"]))
    child = key.child("envelope", sender=sender, recipient=recipient)
    overhead = len(seal(child, b"", about=b"", random=system_random)) + 1
    total = max(MIN_BODY, padded_length(overhead + len(plain)))
    about = framed("envelope", bytes([SUITE]), sender.raw, recipient.raw, parcel.raw)
    padded = plain + bytes(total - overhead - len(plain))
    body = bytes([SUITE]) + seal(child, padded, about=about, random=system_random)
    return open_envelope(body, keys=(key,), sender=sender, recipient=recipient, parcel=parcel)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _picture() -> bytes:
    code = next(one for one in _said("codes", "gateway-code"))
    file = io.BytesIO()
    segno.make(code.decode(), error="m").save(file, kind="png", scale=2)
    return file.getvalue()


def _person(case: Case) -> PersonId:
    return PersonId(bytes.fromhex(case["person"]))


def _list(name: str) -> list[Case]:
    found: list[Case] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _cases(name: str) -> list[Case]:
    document = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [one for one in document["cases"] if "error" not in one]


def _good(name: str, op: str, key: str) -> tuple[bytes, ...]:
    found = [one["in"].get(key) for one in _cases(name) if one["op"] == op]
    return tuple(dict.fromkeys(bytes.fromhex(one) for one in found if one is not None))


def _said(name: str, op: str) -> tuple[bytes, ...]:
    found = [one["in"].get("text") for one in _cases(name) if one["op"] == op]
    return tuple(one.encode() for one in found if one is not None)


def _texts_of(op: str, key: str) -> list[str]:
    return [one["in"][key] for one in _cases("parcels") if one["op"] == op]
