"""The vectors of §2 to §5: conventions, codes, pairing, login, lanes, parcels, frames."""

import base64
import struct
from typing import Any

from tests.vectors.cases import Cases
from tests.wire.people import birth, device, exchange, named, public, signing
from wire.auth import Channel, LaneOpening, Login
from wire.codec import Value, encode
from wire.codes import ContactCode, DeviceCode, GatewayCode, KitCode, ShownBy, fingerprint
from wire.frames import (
    Ack,
    Bye,
    Cursor,
    Delivered,
    Deposit,
    Frame,
    Hello,
    Outcome,
    Parcels,
    Ping,
    Pong,
    Proved,
    Result,
    Results,
    Resume,
    encode_frame,
)
from wire.ids import CursorEpoch, GatewayId, ParcelId, PersonId, SlotId
from wire.kdf import hash16
from wire.lanes import LaneRight, LaneSecret, WakeRule
from wire.pairing import PairAnswer, PairingState, PairRequest
from wire.parcel import Lifetime, Parcel
from wire.places import Place
from wire.receipt import Receipt, Stored

ORDER = (1 << 252) + 27742317777372353535851937790883648493
"""Of the Ed25519 base point (RFC 8032 §5.1)."""
GATEWAY = GatewayId(public("gateway"))
OTHER_GATEWAY = GatewayId(public("other gateway"))
CERTIFICATE = named("certificate", 48)
OTHER_CERTIFICATE = named("other certificate", 48)
CHANNEL = Channel.over(GATEWAY, certificate=CERTIFICATE)
NONCE = named("nonce")
SECRET = named("lane")


def cbor() -> Cases:
    """§2.1."""
    cases = Cases("2.1", "Deterministic CBOR: what is read, and what is refused.")
    good: dict[str, Value] = {
        "zero": 0,
        "twenty-three": 23,
        "twenty-four": 24,
        "two bytes": 256,
        "four bytes": 65_536,
        "eight bytes": 1 << 32,
        "the largest": (1 << 64) - 1,
        "minus one": -1,
        "the smallest": -(1 << 63),
        "no bytes": b"",
        "bytes": named("bytes"),
        "no text": "",
        "text": "Grüße 🏠",
        "false": False,
        "true": True,
        "null": None,
        "empty list": [],
        "empty map": {},
        "keys sort as numbers": {0: 1, 23: b"", 24: "a", 256: None},
        "eight deep": [[[[[[[[1]]]]]]]],
    }
    for name, value in good.items():
        cases.good(name, "cbor", bytes=encode(value))
    bad = {
        "nothing at all": "",
        "two values": "0000",
        "0 in two bytes": "1800",
        "23 in two bytes": "1817",
        "255 in three bytes": "1900ff",
        "65535 in five bytes": "1a0000ffff",
        "2^32-1 in nine bytes": "1b00000000ffffffff",
        "a negative beyond 64 bits signed": "3bffffffffffffffff",
        "an integer cut short": "19ff",
        "a reserved length": "1c",
        "bytes cut short": "43aabb",
        "a length of 2^31": "5a80000000",
        "a length of 2^64-1": "5bffffffffffffffff",
        "text with a length of 2^64-1": "7bffffffffffffffff",
        "a length in too many bytes": "5803aabbcc",
        "bytes of indefinite length": "5f41aaff",
        "text of indefinite length": "7f6161ff",
        "a list of indefinite length": "9f01ff",
        "a map of indefinite length": "bf0001ff",
        "a break alone": "ff",
        "text that is not UTF-8": "62c328",
        "text with a surrogate": "63eda080",
        "text in normal form D": "6375cc88",
        "a list cut short": "8201",
        "a list of 2^31 elements": "9a8000000000",
        "a list of 2^64-1 elements": "9bffffffffffffffff",
        "a map cut short": "a100",
        "a map of 2^63 pairs": "bb8000000000000000",
        "keys out of order": "a201010000",
        "a key twice": "a200010002",
        "a key twice in two spellings": "a2000118000 1".replace(" ", ""),
        "a text key": "a1616101",
        "a bytes key": "a1416101",
        "a negative key": "a12001",
        "a boolean key": "a1f401",
        "a list as key": "a18001",
        "a float of two bytes": "f93c00",
        "a float of four bytes": "fa3f800000",
        "a float of eight bytes": "fb3ff0000000000000",
        "not a number": "f97e00",
        "undefined": "f7",
        "another simple value": "f0",
        "a simple value in two bytes": "f814",
        "a tag": "c001",
        "a big number": "c249010000000000000000",
        "self-described": "d9d9f701",
        "nine deep": "81" * 9 + "01",
        "nine deep and empty": "81" * 8 + "80",
        "a thousand deep": "81" * 1000 + "01",
        "maps a thousand deep": "a100" * 1000 + "01",
    }
    for name, text in bad.items():
        cases.bad(name, "cbor", bytes=bytes.fromhex(text))
    cases.good("as long as allowed", "cbor", bytes=bytes.fromhex("43aabbcc"), limit=4)
    cases.bad("longer than allowed", "cbor", bytes=bytes.fromhex("43aabbcc"), limit=3)
    return cases


def conventions() -> Cases:
    """§2.2 to §2.6."""
    cases = Cases("2", "Hashes, derived keys, signatures, ids and padding.")
    for parts in ([], [b""], [b"ab", b"c"], [b"a", b"bc"], [named("part", 64)]):
        for size in (16, 32):
            name = f"{size} bytes over {[part.hex()[:8] for part in parts]}"
            cases.good(name, "hash", domain="vector", parts=parts, size=size)
    cases.good("under another name", "hash", domain="vector2", parts=[b"ab", b"c"], size=32)
    for key in (bytes(16), named("mac"), bytes(range(64))):
        name = f"a key of {len(key)}"
        cases.good(name, "mac", key=key, domain="vector", parts=[b"ab", b"c"])
    _hkdf(cases)
    _signatures(cases)
    _ids(cases)
    lengths = [0, 1, 2, 9, 255, 256, 257, 264, 265, 1000, 4096, 65_535, 65_537, (1 << 20) - 1]
    for length in (*lengths, 1 << 20):
        cases.good(f"{length} bytes", "padding", length=length)
    return cases


def _hkdf(cases: Cases) -> None:
    ranges = {"ikm": bytes(range(80)), "salt": bytes(range(0x60, 0xB0))}
    cases.good(
        "RFC 5869 A.1",
        "hkdf",
        ikm=b"\x0b" * 22,
        salt=bytes(range(13)),
        info=bytes(range(0xF0, 0xFA)),
        length=42,
    )
    cases.good("RFC 5869 A.2", "hkdf", **ranges, info=bytes(range(0xB0, 0x100)), length=82)
    cases.good("RFC 5869 A.3", "hkdf", ikm=b"\x0b" * 22, salt=b"", info=b"", length=42)
    cases.good("one key", "hkdf", ikm=SECRET, salt=GATEWAY.raw, info=b"homepost/v/1", length=32)


SMALL_ORDER = {
    "the identity": "01" + "00" * 31,
    "the identity, sign bit set": "01" + "00" * 30 + "80",
    "order two": "ec" + "ff" * 30 + "7f",
    "order four": "00" * 32,
    "order four, the other": "00" * 31 + "80",
    "order eight": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order eight, the other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "zero spelled p": "ed" + "ff" * 30 + "7f",
    "one spelled p + 1": "ee" + "ff" * 30 + "7f",
}


def _signatures(cases: Cases) -> None:
    seed, body = named("signing vector"), b"what is signed"
    made = cases.good("an ordinary one", "sign", seed=seed, kind="card-root", body=body)
    cases.good("over nothing", "sign", seed=seed, kind="login", body=b"")
    key, signature = bytes.fromhex(made["key"]), bytes.fromhex(made["signature"])
    fits: dict[str, Any] = {"key": key, "kind": "card-root", "body": body, "signature": signature}
    s = int.from_bytes(signature[32:], "little")
    cases.good("it fits", "verify", **fits)
    wrong: dict[str, dict[str, Any]] = {
        "another kind": {"kind": "card-device"},
        "another body": {"body": body + b"!"},
        "another key": {"key": public("stranger")},
        "a bit of R changed": {"signature": bytes([signature[0] ^ 1]) + signature[1:]},
        "a bit of S changed": {
            "signature": signature[:32] + bytes([signature[32] ^ 1]) + signature[33:]
        },
        "cut short": {"signature": signature[:63]},
        "a byte too many": {"signature": signature + b"\0"},
        "empty": {"signature": b""},
        "a key of 31 bytes": {"key": key[:31]},
        "S + L": {"signature": signature[:32] + (s + ORDER).to_bytes(32, "little")},
        "S = L": {"signature": signature[:32] + ORDER.to_bytes(32, "little")},
    }
    for name, change in wrong.items():
        cases.bad(name, "verify", error="not-signed", **{**fits, **change})
    identity = bytes.fromhex(SMALL_ORDER["the identity"])
    for name, text in SMALL_ORDER.items():
        small = bytes.fromhex(text)
        forged: dict[str, Any] = {**fits, "key": small, "signature": identity + bytes(32)}
        cases.bad(f"key of small order: {name}", "verify", error="not-signed", **forged)
        torsion: dict[str, Any] = {**fits, "signature": small + signature[32:]}
        cases.bad(f"R of small order: {name}", "verify", error="not-signed", **torsion)


def _ids(cases: Cases) -> None:
    for size in (16, 32):
        text = cases.good(f"{size} bytes", "id", size=size, bytes=named("id", size))["text"]
        cases.good(f"text of {size} bytes", "id", size=size, text=text)
        bad = {
            "empty": "",
            "upper case": text.upper(),
            "padded": text + "=",
            "a character too many": text + "a",
            "a character too few": text[:-1],
            "spare bits set": text[:-1] + "b",
            "a digit that base32 has not": "1" + text[1:],
            "a space": " " + text[1:],
            "a dotless i": "ı" + text[1:],
            "the other size": named("id", 48 - size).hex(),
        }
        for name, wrong in bad.items():
            cases.bad(f"{size} bytes: {name}", "id", size=size, text=wrong)
    cases.good("of a root key", "person-id", root_key=public("root"))
    cases.good("of a device key", "device-id", device_key=public("phone"))


def codes() -> Cases:
    """§3.1."""
    cases = Cases("3.1", "Places, the codes that a QR carries, and check codes.")
    _places(cases)
    code = GatewayCode(GATEWAY, named("secret", 16), 1_800_000_120, Place("192.0.2.7"))
    contact = ContactCode(
        PersonId.of_root(public("root")),
        named("commitment", 16),
        SlotId(named("slot", 16)),
        1_800_000_600,
        fingerprint(GATEWAY),
        Place("box.example", 8443),
    )
    text, other = code.text(), contact.text()
    cases.good("a gateway", "gateway-code", text=text)
    cases.good("a contact", "contact-code", text=other)
    cases.good("as somebody types it", "gateway-code", text=f" {text[:20].lower()}\n{text[20:]} ")
    cases.bad("a contact's for a gateway's", "gateway-code", error="wrong-code", text=other)
    cases.bad("a gateway's for a contact's", "contact-code", error="wrong-code", text=text)
    for prefix in ("HPD1", "HPK1", "HPZ1"):
        wrong = prefix + text[4:]
        cases.bad(f"{prefix} for a gateway's", "gateway-code", error="wrong-code", text=wrong)
    raw = base64.b32decode(text[5:] + "=" * (-len(text[5:]) % 8))
    newer = _coded("HPG1", 2, raw[1:-2])
    cases.bad("a newer one", "gateway-code", error="unknown-version", text=newer)
    bad = {
        "empty": "",
        "only a prefix": "HPG1:",
        "a web address": "https://example.org/",
        "no prefix": text[5:],
        "cut": text[:-3],
        "lengthened": text + "AA",
        "a character changed": text[:30] + ("A" if text[30] != "A" else "B") + text[31:],
        "two characters swapped": _swapped(text, 40),
        "the check of another kind": _coded("HPG1", 1, raw[1:-2], check="HPC1"),
        "spare bits set": text[:-1] + chr(ord(text[-1]) + 1),
        "padded": text + "=",
        "one character": "HPG1:A",
        "too short inside": _coded("HPG1", 1, raw[1:50]),
        "no place": _coded("HPG1", 1, raw[1:53]),
        "a place of port 0": _coded("HPG1", 1, raw[1:-4] + b"\0\0"),
        "longer than is looked at": _coded("HPG1", 1, raw[1:-2] + bytes(400)),
    }
    for name, wrong in bad.items():
        cases.bad(f"gateway: {name}", "gateway-code", text=wrong)
    cases.bad("contact: cut", "contact-code", text=other[:-3])
    _devices(cases, other)
    _kits(cases)
    cases.good("of a gateway", "gateway-fingerprint", gateway=GATEWAY.raw)
    for number in range(4):
        parts = [b"vector", bytes([number])]
        cases.good(f"check code {number}", "check-code", parts=parts)
    return cases


def _devices(cases: Cases, contact: str) -> None:
    where = fingerprint(GATEWAY), Place("192.0.2.7")
    for by in ShownBy:
        code = DeviceCode(
            by, named("commitment", 16), SlotId(named("slot", 16)), 1_800_000_600, *where
        )
        cases.good(f"shown by the {by.name.lower()} device", "device-code", text=code.text())
    raw = base64.b32decode(code.text()[5:] + "=" * (-len(code.text()[5:]) % 8))[1:-2]
    cases.bad("a contact's for a device's", "device-code", error="wrong-code", text=contact)
    cases.bad("device: cut", "device-code", text=code.text()[:-3])
    cases.bad("shown by nobody", "device-code", text=_coded("HPD1", 1, b"\x03" + raw[1:]))
    cases.bad("device: too short inside", "device-code", text=_coded("HPD1", 1, raw[:50]))


def _kits(cases: Cases) -> None:
    seed, person = named("seed", 16), PersonId.of_root(public("root"))
    near, far = Place("192.0.2.7"), Place("box.example", 8443)
    kits = {
        "a kit of somebody without a gateway": KitCode(seed, person),
        "a kit without a place": KitCode(seed, person, GATEWAY),
        "a kit": KitCode(seed, person, GATEWAY, (near, far)),
    }
    for name, kit in kits.items():
        cases.good(name, "kit-code", text=kit.text())
    raw = base64.b32decode(kit.text()[5:] + "=" * (-len(kit.text()[5:]) % 8))[1:-2]
    bad = {
        "cut": kit.text()[:-3],
        "half a gateway": _coded("HPK1", 1, raw[:60]),
        "a place that is longer than it says": _coded("HPK1", 1, raw[:80] + b"\x06" + raw[81:]),
        "three places": _coded("HPK1", 1, raw + raw[80:88]),
        "more than 160 bytes": _coded("HPK1", 1, raw[:80] + b"\x4d" + b"\x01\x11\x51" + b"a" * 74),
    }
    for name, wrong in bad.items():
        cases.bad(f"kit: {name}", "kit-code", text=wrong)


def _coded(prefix: str, version: int, raw: bytes, *, check: str | None = None) -> str:
    proof = hash16("code-check", (check or prefix).encode(), raw)[:2]
    text = base64.b32encode(bytes([version]) + raw + proof).decode().rstrip("=")
    return f"{prefix}:{text}"


def _swapped(text: str, place: int) -> str:
    while text[place] == text[place + 1]:
        place += 1
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _places(cases: Cases) -> None:
    for text in (
        "192.0.2.7",
        "192.0.2.7:80",
        "[2001:db8::7]:65535",
        "[2001:DB8:0::7]",
        "2001:db8::7",
        "box.example",
        "Box.Example:1",
        "a_b-c.local:4433",
    ):
        found = cases.good(text, "place", text=text)
        cases.good(f"{text} in short", "place", bytes=bytes.fromhex(found["bytes"]))
    for text in (
        "",
        ":80",
        "box.example:",
        "box.example:0",
        "box.example:65536",
        "box.example:8o",
        "box.example:80:80",
        "[2001:db8::7",
        "[192.0.2.7]x",
        "fe80::1%eth0",
        "box..example",
        "box.example.",
        "-box.example",
        "box example",
        "box/example",
        "bücher.example",
        "192.0.2.07",
        "256.0.0.1",
        "127.1",
        "2130706433",
        "a" * 64,
        ".".join(["a" * 63] * 4),
    ):
        cases.bad(f"{text[:20]!r}, {len(text)} long", "place", text=text)
    for name, data in {
        "nothing": b"",
        "an unknown form": b"\x02\x11\x51",
        "IPv4 of three bytes": b"\x04\0\0\0\x11\x51",
        "IPv6 of four bytes": b"\x06\xc0\x00\x02\x07\x11\x51",
        "port 0": b"\x04\xc0\x00\x02\x07\0\0",
        "no name": b"\x01\x11\x51",
        "a name in capitals": b"\x01\x11\x51BOX",
        "an address as a name": b"\x01\x11\x51192.0.2.7",
        "a name with a zero byte": b"\x01\x11\x51box\0",
        "a name with a line feed": b"\x01\x11\x51box\n",
    }.items():
        cases.bad(f"short form: {name}", "place", bytes=data)


def pairing() -> Cases:
    """§3.2 to §3.4."""
    cases = Cases("3", "The gateway's certificate, pairing and login.")
    _certificate(cases)
    where: dict[str, Any] = {"gateway": GATEWAY.raw, "certificate": CERTIFICATE}
    secret, nonce = named("secret", 16), named("pair nonce", 16)
    request = PairRequest.make(
        secret,
        channel=CHANNEL,
        device=device("phone"),
        exchange_key=exchange("phone"),
        chain=(birth("phone").encode(),),
    )
    proof: dict[str, Any] = {**where, "secret": secret, "nonce": nonce}
    cases.good("a request", "pair-request", bytes=request.encode(), **proof)
    for name, change in {
        "another gateway": {"gateway": OTHER_GATEWAY.raw},
        "another certificate": {"certificate": OTHER_CERTIFICATE},
        "another secret": {"secret": bytes(16)},
    }.items():
        cases.good(
            f"unproved: {name}", "pair-request", bytes=request.encode(), **{**proof, **change}
        )
    fields: dict[int, Value] = {
        0: 1,
        1: public("phone"),
        2: exchange("phone"),
        3: [b"x"],
        4: bytes(32),
        5: False,
    }
    _variants(cases, "pair-request", fields, proof)
    for name, chain in {"no card": [], "65 statements": [b"x"] * 65, "an empty one": [b""]}.items():
        changed = encode({**fields, 3: list[Value](chain)})
        cases.bad(f"a request with {name}", "pair-request", bytes=changed, **proof)
    answer = PairAnswer(PairingState.PAIRED, nonce, ("192.0.2.7:4433", "box.example:4433"))
    cases.good("an answer", "pair-answer", bytes=answer.encode())
    _variants(cases, "pair-answer", {0: 1, 1: 1, 2: nonce, 3: []}, {})
    cases.bad("state 4", "pair-answer", bytes=encode({0: 1, 1: 4, 2: nonce, 3: []}))
    cases.bad("a place of 301", "pair-answer", bytes=encode({0: 1, 1: 2, 2: nonce, 3: ["a" * 301]}))
    _login(cases, where)
    return cases


def _certificate(cases: Cases) -> None:
    seed, spki = named("signing gateway"), named("spki", 91)
    made = cases.good("made", "make-certificate-extension", seed=seed, spki=spki)
    value = bytes.fromhex(made["extension"])
    fits: dict[str, Any] = {"extension": value, "spki": spki, "gateway": GATEWAY.raw}
    cases.good("it fits", "certificate", **fits)
    for name, change in {
        "another gateway": {"gateway": OTHER_GATEWAY.raw},
        "another gateway's name on it": {"extension": OTHER_GATEWAY.raw + value[32:]},
        "another TLS key": {"spki": spki[:-1] + b"\0"},
        "cut short": {"extension": value[:-1]},
        "lengthened": {"extension": value + b"\0"},
        "empty": {"extension": b""},
        "no signature": {"extension": value[:32] + bytes(64)},
    }.items():
        cases.bad(name, "certificate", error="not-signed", **{**fits, **change})


def _variants(cases: Cases, op: str, fields: dict[int, Value], more: dict[str, Any]) -> None:
    """Add what every map message refuses: a field missing, of another type, one too many."""
    cases.bad("no map", op, bytes=encode([1]), **more)
    cases.bad("empty", op, bytes=b"", **more)
    cases.bad("trailing byte", op, bytes=encode(fields) + b"\0", **more)
    cases.bad("one field too many", op, bytes=encode({**fields, 99: 0}), **more)
    newer = encode({**fields, 0: 2})
    cases.bad("version 2", op, error="unknown-version", bytes=newer, **more)
    for key in fields:
        without = {one: value for one, value in fields.items() if one != key}
        cases.bad(f"field {key} missing", op, bytes=encode(without), **more)
        other: Value = "text" if not isinstance(fields[key], str) else 0
        cases.bad(f"field {key} of another type", op, bytes=encode({**fields, key: other}), **more)


def _login(cases: Cases, where: dict[str, Any]) -> None:
    seed = named("signing phone")
    made = cases.good("a login", "make-login", seed=seed, nonce=NONCE, **where)
    data = bytes.fromhex(made["bytes"])
    cases.good("it fits", "login", bytes=data, **where)
    login = Login.decode(data)
    fields: dict[int, Value] = {0: 1, 1: login.device.raw, 2: login.nonce, 3: login.signature}
    forged = {
        "another device": {1: public("stranger")},
        "another nonce": {2: named("other nonce")},
        "another signature": {3: bytes(64)},
    }
    for name, change in forged.items():
        changed = encode({**fields, **change})
        cases.bad(name, "login", error="not-signed", bytes=changed, **where)
    elsewhere: dict[str, Any] = {**where, "gateway": OTHER_GATEWAY.raw}
    cases.bad("at another gateway", "login", error="not-signed", bytes=data, **elsewhere)
    relayed: dict[str, Any] = {**where, "certificate": OTHER_CERTIFICATE}
    cases.bad("over another certificate", "login", error="not-signed", bytes=data, **relayed)
    _variants(cases, "login", fields, dict(where))
    for key, size in ((1, 31), (2, 33), (3, 63)):
        changed = encode({**fields, key: bytes(size)})
        cases.bad(f"field {key} of {size} bytes", "login", bytes=changed, **where)


PARCEL = Parcel(
    LaneSecret(SECRET).at(GATEWAY).id,
    ParcelId(named("parcel", 16)),
    Lifetime.WEEK,
    named("purge"),
    named("body", 64) * 4,
)


def parcels() -> Cases:
    """§4."""
    cases = Cases("4", "Lanes, parcels and their proofs, the opening of a connection.")
    for slot in (b"\0\0", b"\x12\x34"):
        name = f"slot {slot.hex()}"
        cases.good(name, "lane", secret=SECRET, gateway=GATEWAY.raw, slot=slot)
    cases.good("elsewhere", "lane", secret=SECRET, gateway=OTHER_GATEWAY.raw, slot=b"\0\0")
    cases.bad("31 bytes", "lane", secret=SECRET[:31], gateway=GATEWAY.raw, slot=b"\0\0")
    _rights(cases)
    data = PARCEL.encode()
    cases.good("the smallest body", "parcel", bytes=data)
    cases.good("bytes after it are the next one's", "parcel", bytes=data + b"next")
    cases.bad("version 2", "parcel", error="unknown-version", bytes=b"\2" + data[1:])
    for name, wrong in {
        "nothing": b"",
        "cut in its header": data[:69],
        "cut in its body": data[:-1],
        "bucket 4": data[:33] + b"\4" + data[34:],
        "a length of 2^31": data[:66] + b"\x80\0\0\0" + data[70:],
        "a length of 2^32-1": data[:66] + b"\xff\xff\xff\xff" + data[70:],
        "a body of none": data[:66] + bytes(4),
        "a body of 255": data[:66] + struct.pack(">I", 255) + bytes(255),
        "a body of 257, which is no padded length": data[:66] + struct.pack(">I", 257) + bytes(257),
        "a body of 1 MiB and 32 KiB": data[:66] + struct.pack(">I", (1 << 20) + (1 << 15)),
    }.items():
        cases.bad(name, "parcel", bytes=wrong)
    _proofs(cases)
    return cases


def _rights(cases: Cases) -> None:
    lane = LaneSecret(SECRET).at(GATEWAY)
    right = LaneRight(
        lane,
        WakeRule.WAKE_OUTSIDE_QUIET_HOURS,
        wakes_per_day=200,
        bytes_waiting=1 << 24,
        expires=0,
        last_tenth=True,
    )
    value = right.to_value()
    assert isinstance(value, list)
    cases.good("a lane registered", "lane-right", bytes=encode(value))
    for name, place, wrong in (
        ("an id of 15", 0, bytes(15)),
        ("a key of 31", 1, bytes(31)),
        ("rule 0", 2, 0),
        ("rule 5", 2, 5),
        ("wakes below none", 3, -1),
        ("wakes above the bound", 3, 10_001),
        ("bytes above the bound", 4, (1 << 40) + 1),
        ("an expiry above the bound", 5, (1 << 40) + 1),
        ("a flag that is a number", 6, 1),
        ("a number that is a flag", 3, True),
    ):
        changed = [*value[:place], wrong, *value[place + 1 :]]
        cases.bad(f"right: {name}", "lane-right", bytes=encode(changed))
    cases.bad("right: six fields", "lane-right", bytes=encode(value[:6]))
    cases.bad("right: a map", "lane-right", bytes=encode({0: 1}))


def _proofs(cases: Cases) -> None:
    data, lane = PARCEL.encode(), LaneSecret(SECRET).at(GATEWAY)
    proof = PARCEL.proof(lane, gateway=GATEWAY)
    fits: dict[str, Any] = {"secret": SECRET, "gateway": GATEWAY.raw, "bytes": data, "proof": proof}
    cases.good("it fits", "parcel-proof", **fits)
    flips = {"lane": 1, "id": 17, "purge": 34, "body": 70, "last byte of the body": 325}
    changes: dict[str, dict[str, bytes]] = {
        f"{name} altered": {"bytes": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]}
        for name, at in flips.items()
    }
    changes["lifetime altered"] = {"bytes": data[:33] + b"\2" + data[34:]}
    changes["another gateway"] = {"gateway": OTHER_GATEWAY.raw}
    changes["another lane"] = {"secret": named("other lane")}
    changes["a bit of the proof"] = {"proof": bytes([proof[0] ^ 1]) + proof[1:]}
    changes["half of the proof"] = {"proof": proof[:8]}
    for name, change in changes.items():
        cases.good(name, "parcel-proof", **{**fits, **change})
    made = LaneOpening.make(lane, channel=CHANNEL, nonce=NONCE, purpose="deposit")
    opening: dict[str, Any] = {
        "header": _header(made.encode()),
        "secret": SECRET,
        "gateway": GATEWAY.raw,
        "certificate": CERTIFICATE,
        "purpose": "deposit",
    }
    cases.good("it opens", "lane-opening", **opening)
    raw = made.encode()
    others: dict[str, dict[str, Any]] = {
        "for another purpose": {"purpose": "prekeys"},
        "at another gateway": {"gateway": OTHER_GATEWAY.raw},
        "over another certificate": {"certificate": OTHER_CERTIFICATE},
        "of another lane": {"secret": named("other lane")},
        "lane altered": {"header": _header(b"\1" + raw[1:])},
        "nonce altered": {"header": _header(raw[:16] + b"\1" + raw[17:])},
        "proof altered": {"header": _header(raw[:63] + bytes([raw[63] ^ 1]))},
    }
    for name, other in others.items():
        cases.good(f"it does not open {name}", "lane-opening", **{**opening, **other})
    for size in (0, 63, 65):
        short: dict[str, Any] = {**opening, "header": _header((raw + b"\0")[:size])}
        cases.bad(f"an opening of {size} bytes", "lane-opening", **short)


def _header(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def frames() -> Cases:
    """§5.2."""
    cases = Cases("5.2", "Frames: what one binary WebSocket message holds.")
    cursor = Cursor(CursorEpoch(named("epoch", 16)), 7, ParcelId(named("parcel", 16)))
    second = Parcel(
        PARCEL.lane, ParcelId(named("second", 16)), Lifetime.DAY, PARCEL.purge, bytes(288)
    )
    lane = LaneSecret(SECRET).at(GATEWAY)
    proved = tuple(Proved(one.proof(lane, gateway=GATEWAY), one) for one in (PARCEL, second))
    good: dict[str, Frame] = {
        "Resume": Resume(cursor),
        "Resume from nowhere": Resume(Cursor.start(CursorEpoch(bytes(16)))),
        "Ack": Ack(cursor),
        "Ping": Ping(),
        "Pong": Pong(),
        "Hello": Hello(cursor.epoch, 7, reset=False),
        "Hello with the largest number": Hello(cursor.epoch, (1 << 63) - 1, reset=True),
        "Bye": Bye("device-revoked"),
        "Parcels": Parcels((Delivered(3, PARCEL), Delivered(9, second))),
        "Deposit": Deposit(0xFFFF_FFFF, proved),
        "Results": Results(
            5, tuple(Outcome(ParcelId(bytes([n]) * 16), Result(n), n * 60) for n in Result)
        ),
        "Receipt": Receipt.sign(
            signing("gateway"), tuple(Stored(one.id, one.body_hash) for one in (PARCEL, second))
        ),
    }
    for name, frame in good.items():
        cases.good(name, "frame", bytes=encode_frame(frame))
    _bad_frames(cases, {name: encode_frame(frame) for name, frame in good.items()})
    _receipts(cases, encode_frame(good["Receipt"]))
    return cases


def _receipts(cases: Cases, receipt: bytes) -> None:
    by = {"gateway": public("gateway")}
    swapped = receipt[:3] + receipt[51:99] + receipt[3:51] + receipt[99:]
    cases.good("a receipt of this gateway", "receipt", bytes=receipt, **by)
    for name, data in {
        "a receipt for another parcel": receipt[:3] + b"\0" + receipt[4:],
        "a receipt for another body": receipt[:19] + b"\0" + receipt[20:],
        "a receipt in another order": swapped,
        "a receipt for the first alone": b"\x22\0\1" + receipt[3:51] + receipt[99:],
    }.items():
        cases.bad(name, "receipt", error="not-signed", bytes=data, **by)
    other = {"gateway": public("other gateway")}
    cases.bad("a receipt of another gateway", "receipt", error="not-signed", bytes=receipt, **other)


def _bad_frames(cases: Cases, good: dict[str, bytes]) -> None:
    parcels, deposit, results = good["Parcels"], good["Deposit"], good["Results"]
    one = PARCEL.encode()
    many = b"".join(struct.pack(">Q", n) + one for n in range(1, 66))
    for name, data in {
        "nothing": b"",
        "an unknown type": b"\x7f",
        "type 0": b"\0",
        **{
            f"{name} with a byte more": data + b"\0" for name, data in good.items() if name != "Bye"
        },
        **{
            f"{name} with a byte less": good[name][:-1]
            for name in ("Resume", "Ack", "Hello", "Parcels", "Deposit", "Results")
        },
        "a cursor beyond 2^63": b"\x10" + bytes(16) + b"\x80" + bytes(23),
        "Hello beyond 2^63": b"\x01" + bytes(16) + b"\x80" + bytes(8),
        "Hello with reset 2": good["Hello"][:-1] + b"\2",
        "Bye without a code": b"\x0f",
        "Bye in capitals": b"\x0fBusy",
        "Bye with a line feed": b"\x0fbusy\n",
        "Bye of 41 characters": b"\x0f" + b"a" * 41,
        "Parcels without a count": parcels[:2],
        "no Parcels": b"\x02\0\0",
        "65 Parcels": b"\x02\0\x41" + many,
        "65535 Parcels": b"\x02\xff\xff" + parcels[3:],
        "fewer Parcels than counted": b"\x02\0\3" + parcels[3:],
        "more Parcels than counted": b"\x02\0\1" + parcels[3:],
        "number 0": b"\x02\0\1" + bytes(8) + one,
        "a number beyond 2^63": b"\x02\0\1\x80" + bytes(7) + one,
        "a number twice": b"\x02\0\2" + (bytes(7) + b"\1" + one) * 2,
        "numbers that fall": b"\x02\0\2" + bytes(7) + b"\2" + one + bytes(7) + b"\1" + one,
        "Parcels that end in a number": b"\x02\0\1" + bytes(4),
        "a Deposit without a count": deposit[:6],
        "an empty Deposit": b"\x20" + bytes(6),
        "a Deposit of 65": b"\x20" + bytes(4) + b"\0\x41" + (bytes(16) + one) * 65,
        "fewer deposited than counted": b"\x20" + bytes(4) + b"\0\3" + deposit[7:],
        "a Deposit that ends in a proof": b"\x20" + bytes(4) + b"\0\1" + bytes(15),
        "Results without a count": results[:6],
        "no Results": b"\x21" + bytes(6),
        "an unknown result": b"\x21" + bytes(4) + b"\0\1" + bytes(16) + b"\x09" + bytes(4),
        "fewer Results than counted": results[:6] + b"\x0a" + results[7:],
        "1025 Results": b"\x21" + bytes(4) + b"\x04\1" + bytes(21) * 1025,
        "an empty Receipt": b"\x22\0\0" + bytes(64),
        "a Receipt without a signature": b"\x22\0\1" + bytes(48),
        "a Receipt of 1025": b"\x22\x04\1" + bytes(48) * 1025 + bytes(64),
    }.items():
        cases.bad(name, "frame", bytes=data)
    newer = b"\x02\0\1" + bytes(7) + b"\1" + b"\2" + one[1:]
    cases.bad("a parcel of version 2", "frame", error="unknown-version", bytes=newer)
