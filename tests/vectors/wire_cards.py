"""The vectors of §10: card statements, verdicts, freshness notes and prekeys."""

from dataclasses import replace
from typing import Any

from tests.vectors.cases import Cases
from tests.wire.people import EXPIRES, PERSON, birth, exchange, named, public, signing, step
from wire.card import MAX_STATEMENT, Card, FreshnessNote, GatewayEntry, Role, Signed
from wire.codec import Value, decode, encode
from wire.ids import DeviceKey, GatewayId
from wire.prekeys import Bundle, Prekey, PrekeyKind, encode_bundles, encode_upload
from wire.signing import sign
from wire.statements import _LOW_ORDER

FIRST = birth("phone", "tablet", "laptop")


def cards() -> Cases:
    """§10.1 and §10.2."""
    cases = Cases("10.1", "Card statements, and the verdicts over sequences of them.")
    gateways = (GatewayEntry(GatewayId(public("gateway")), ("192.0.2.7:4433", "box.example:4433")),)
    cases.good("a root statement", "statement", bytes=FIRST.encode())
    cases.good("a device statement", "statement", bytes=step(FIRST, "phone").encode())
    with_gateway = step(FIRST, "phone", gateways=gateways)
    cases.good("with a gateway", "statement", bytes=with_gateway.encode())
    handing_over = birth("phone", next_root=public("second root"))
    cases.good("that names the next root", "statement", bytes=handing_over.encode())
    _bad_statements(cases)
    _verdicts(cases)
    _notes(cases)
    return cases


def signed_map(value: Value, kind: str, by: str) -> bytes:
    """Return a signed statement whose body is `value`, whatever it says."""
    body = encode(value)
    return encode([body, sign(signing(by), kind, body)])


def _bad_statements(cases: Cases) -> None:
    fields = decode(FIRST.body, limit=MAX_STATEMENT)
    assert isinstance(fields, dict)
    one: list[Value] = [public("phone"), exchange("phone"), 1]
    places: list[Value] = ["a" * 301]
    listed = fields[6]
    assert isinstance(listed, list)
    changes: dict[str, dict[int, Value]] = {
        "kind 2": {1: 2},
        "a root key of 31": {2: bytes(31)},
        "epoch 0": {3: 0},
        "epoch 2^63": {3: 1 << 63},
        "a negative epoch": {3: -1},
        "a root statement with a number": {4: 1},
        "a root statement with a previous one": {5: named("prev")},
        "no device": {6: []},
        "a device twice": {6: [one, one]},
        "devices out of order": {6: listed[::-1]},
        "eleven devices": {6: [[bytes([n]) * 32, exchange("phone"), 1] for n in range(11)]},
        "a device of two fields": {6: [one[:2]]},
        "role 0": {6: [[*one[:2], 0]]},
        "role 4": {6: [[*one[:2], 4]]},
        "a short exchange key": {6: [[one[0], bytes(31), 1]]},
        "generation 0": {7: 0},
        "a short person key": {8: bytes(31)},
        "five gateways": {9: [[bytes([n]) * 32, []] for n in range(5)]},
        "a gateway twice": {9: [[bytes(32), []], [bytes(32), []]]},
        "nine places": {9: [[bytes(32), ["a"] * 9]]},
        "a place of 301": {9: [[bytes(32), places]]},
        "a place that is no text": {9: [[bytes(32), [b"a"]]]},
        "a text for a time": {10: "now"},
        "signed by another than its root": {12: public("phone")},
        "a next root of 31": {13: bytes(31)},
        "an unknown field": {14: 0},
    }
    for number, low in enumerate(sorted(_LOW_ORDER)):
        changes[f"low order {number} as an exchange key"] = {6: [[one[0], low, 1]]}
        high = low[:31] + bytes([low[31] | 0x80])
        changes[f"low order {number} as a person key, top bit set"] = {8: high}
    for name, change in changes.items():
        by = "phone" if change.get(12) else "root"
        data = signed_map({**fields, **change}, "card-root", by)
        cases.bad(name, "statement", bytes=data)
    for key in range(13):
        without: dict[int, Value] = {n: value for n, value in fields.items() if n != key}
        data = signed_map(without, "card-root", "root")
        cases.bad(f"field {key} missing", "statement", bytes=data)
    newer = signed_map({**fields, 0: 2}, "card-root", "root")
    cases.bad("version 2", "statement", error="unknown-version", bytes=newer)
    device = {**fields, 1: 1, 12: public("phone")}
    extras: dict[str, dict[int, Value]] = {
        "a device statement with number 0": {5: named("prev")},
        "a device statement that names a root": {4: 1, 5: named("prev"), 13: public("thief")},
    }
    for name, extra in extras.items():
        data = signed_map({**device, **extra}, "card-device", "phone")
        cases.bad(name, "statement", bytes=data)
    _badly_signed(cases)


def _badly_signed(cases: Cases) -> None:
    body, on = FIRST.body, step(FIRST, "phone")
    key = signing("root")
    for name, signature in {
        "signed as a device statement": sign(key, "card-device", body),
        "signed as a prekey": sign(key, "prekey-signed", body),
        "signed without a kind": key.sign(body).signature,
        "signed by another": sign(signing("stranger"), "card-root", body),
        "not signed": bytes(64),
    }.items():
        cases.bad(name, "statement", error="not-signed", bytes=encode([body, signature]))
    altered = on.body.replace(EXPIRES.to_bytes(4, "big"), (EXPIRES + 1).to_bytes(4, "big"))
    data = encode([altered, on.signature])
    cases.bad("an altered body", "statement", error="not-signed", bytes=data)
    for name, value in {
        "a signature of 63": [body, FIRST.signature[:63]],
        "three parts": [body, FIRST.signature, b""],
        "one part": [body],
        "a map": {0: body, 1: FIRST.signature},
        "a text for the body": ["body", FIRST.signature],
    }.items():
        wrong: Any = value
        cases.bad(name, "statement", bytes=encode(wrong))
    cases.bad("a trailing byte", "statement", bytes=FIRST.encode() + b"\0")
    cases.bad("longer than 4096", "statement", bytes=FIRST.encode() + bytes(4096))


def _verdicts(cases: Cases) -> None:
    by_phone, by_tablet = step(FIRST, "phone"), step(FIRST, "tablet")
    low, high = sorted((by_phone, by_tablet), key=lambda one: one.hash)
    without_laptop = step(FIRST, "phone", "phone", "tablet")
    renewed = step(FIRST, "phone")
    later = step(renewed, "phone", "phone", "tablet")
    newer_key = step(FIRST, "phone", person_generation=3, person_public=exchange("newer"))
    ring = [
        step(FIRST, "phone", "phone", "laptop"),
        step(FIRST, "tablet", "phone", "tablet"),
        step(FIRST, "laptop", "tablet", "laptop"),
    ]
    handing_over = birth("phone", epoch=2, next_root=public("second root"))
    taken_over = birth("phone", epoch=3, by="second root")
    stories: dict[str, list[Signed]] = {
        "it goes on": [by_phone, step(by_phone, "tablet"), by_phone],
        "a rollback": [birth("phone", epoch=2), FIRST, by_phone],
        "a gap, filled": [later, renewed, later],
        "a new epoch": [by_phone, birth("tablet", epoch=5)],
        "rivals, the lower hash first": [low, high],
        "rivals, the lower hash last": [high, low],
        "a revocation against a renewal": [without_laptop, by_tablet],
        "a renewal against a revocation": [by_tablet, without_laptop],
        "it revokes the other's signer": [ring[1], ring[0]],
        "each revokes the other": [
            step(FIRST, "phone", "phone", "laptop"),
            step(FIRST, "tablet", "tablet", "laptop"),
        ],
        "one signer twice": [step(FIRST, "phone", expires=1), step(FIRST, "phone", expires=2)],
        "a ring of revocations": ring,
        "a fork ended by the root": [*ring, birth("phone", epoch=2)],
        "two root statements": [birth("phone", "tablet", epoch=2), birth("phone", epoch=2)],
        "back-dated by a revoked device": [renewed, later, step(FIRST, "laptop")],
        "back-dated with a revocation": [renewed, later, step(FIRST, "laptop", "laptop", "tablet")],
        "on top of a loser": [low, high, step(high, "laptop")],
        "a later revocation tips it": _tipping(low, high),
        "a new root": [handing_over, taken_over],
        "a new root, too early": [taken_over, handing_over, taken_over],
        "the old root afterwards": [handing_over, taken_over, birth("thief", epoch=4)],
        "a foreign root": [birth("thief", epoch=2, by="thief")],
        "a thief evicts, the root returns": [
            step(FIRST, "laptop", "laptop"),
            birth("phone", epoch=2),
        ],
        "an unlisted signer": [step(FIRST, "stranger")],
        "a revoked signer": [without_laptop, step(without_laptop, "laptop")],
        "the root signs as a device": [step(FIRST, "root")],
        "a number that does not follow": [step(FIRST, "phone", seq=2)],
        "a swapped exchange key": [step(FIRST, "phone", devices=_swapped())],
        "a revocation that keeps the person key": [
            step(
                FIRST,
                "phone",
                "phone",
                person_generation=1,
                person_public=FIRST.statement.person_public,
            )
        ],
        "a person key changed under its number": [
            step(FIRST, "phone", person_public=exchange("x"))
        ],
        "a person key that goes back": [
            newer_key,
            step(newer_key, "phone", person_generation=2, person_public=exchange("y")),
        ],
        "the root changed by a device": [step(FIRST, "phone", root_key=public("thief"))],
    }
    for name, statements in stories.items():
        told = [one.encode() for one in (FIRST, *statements)]
        cases.good(name, "card", person=PERSON.raw, statements=told)
    refused: dict[str, Any] = {"person": PERSON.raw, "error": "card-rejected"}
    begins = {
        "it begins with a device statement": by_phone,
        "it begins with another person": birth("thief", by="thief"),
    }
    for name, first in begins.items():
        cases.bad(name, "card", statements=[first.encode()], **refused)


def _tipping(low: Signed, high: Signed) -> list[Signed]:
    loser = "phone" if high.statement.signer == public("phone") else "tablet"
    return [low, high, step(high, loser, "phone", "tablet")]


def _swapped() -> tuple[Any, ...]:
    return tuple(
        replace(one, exchange_key=exchange("swapped"), role=Role.PHONE)
        for one in FIRST.statement.devices
    )


def _notes(cases: Cases) -> None:
    on = step(FIRST, "phone")
    first, card = Card.begin(PERSON, FIRST), Card.begin(PERSON, FIRST).take(on)[0]
    note = FreshnessNote.make(card, signing("tablet"), expires=EXPIRES + 1)
    where: dict[str, Any] = {"person": PERSON.raw, "chain": list(card.chain)}
    cases.good("a freshness note", "freshness-note", bytes=note.encode(), **where)
    older = FreshnessNote.make(first, signing("tablet"), expires=EXPIRES + 1).encode()
    stranger = FreshnessNote.make(card, signing("stranger"), expires=EXPIRES + 1).encode()
    rejected: dict[str, Any] = {**where, "error": "card-rejected"}
    cases.bad("a note of an earlier statement", "freshness-note", bytes=older, **rejected)
    cases.bad("a note by a stranger", "freshness-note", bytes=stranger, **rejected)
    fields = decode(note.encode(), limit=512)
    assert isinstance(fields, dict)
    changes: dict[str, dict[int, Value]] = {
        "prolonged": {4: EXPIRES + 2},
        "by another device": {5: public("phone")},
        "not signed": {6: bytes(64)},
    }
    for name, change in changes.items():
        data = encode({**fields, **change})
        cases.bad(f"a note {name}", "freshness-note", error="not-signed", bytes=data, **where)
    for name, wrong in {
        "cut": note.encode()[:-1],
        "with a field too many": encode({**fields, 7: 0}),
    }.items():
        cases.bad(f"a note {name}", "freshness-note", bytes=wrong, **where)


# Prekeys


def prekey(kind: PrekeyKind, number: int, by: str = "phone") -> Prekey:
    """Return a signed prekey; its public key is made from its number."""
    small = kind in (PrekeyKind.SIGNED, PrekeyKind.ONE_TIME)
    key = exchange(f"prekey {number}") if small else named(f"kem {number}", 1184)
    return Prekey.sign(signing(by), kind=kind, id=number, public=key)


def prekeys() -> Cases:
    """§10.3."""
    cases = Cases("10.3", "Prekeys as a device leaves them, and as a sender gets them.")
    phone = DeviceKey(public("phone"))
    signed, last = prekey(PrekeyKind.SIGNED, 1), prekey(PrekeyKind.LAST_RESORT, 2)
    one_time = prekey(PrekeyKind.ONE_TIME, 4_294_967_295)
    upload = (signed, last, one_time, prekey(PrekeyKind.ONE_TIME_KEM, 4))
    where: dict[str, Any] = {"device": phone.raw}
    cases.good("an upload of every kind", "prekey-upload", bytes=encode_upload(upload), **where)
    cases.good("an empty upload", "prekey-upload", bytes=encode_upload(()), **where)
    value = one_time.to_value()
    assert isinstance(value, list)
    for name, place, wrong, error in (
        ("kind 0", 0, 0, "malformed"),
        ("kind 5", 0, 5, "malformed"),
        ("another kind of the same size", 0, 1, "not-signed"),
        ("a kind of another size", 0, 2, "malformed"),
        ("another id", 1, 9, "not-signed"),
        ("an id of 2^32", 1, 1 << 32, "malformed"),
        ("another key", 2, exchange("swapped"), "not-signed"),
        ("a key of 31", 2, bytes(31), "malformed"),
        ("a key of low order", 2, bytes(32), "malformed"),
        ("another signature", 3, bytes(64), "not-signed"),
        ("a signature of 63", 3, bytes(63), "malformed"),
    ):
        changed = [*value[:place], wrong, *value[place + 1 :]]
        data = encode({0: 1, 1: [changed]})
        cases.bad(name, "prekey-upload", error=error, bytes=data, **where)
    other: dict[str, Any] = {"device": public("tablet")}
    data = encode_upload(upload)
    cases.bad("of another device", "prekey-upload", error="not-signed", bytes=data, **other)
    cases.bad("three fields", "prekey-upload", bytes=encode({0: 1, 1: [value[:3]]}), **where)
    cases.bad("129 prekeys", "prekey-upload", bytes=encode({0: 1, 1: [0] * 129}), **where)
    newer = encode({0: 2, 1: []})
    cases.bad("version 2", "prekey-upload", error="unknown-version", bytes=newer, **where)
    cases.bad("a trailing byte", "prekey-upload", bytes=data + b"\0", **where)
    _bundles(cases, Bundle(phone, signed, last, one_time), birth("phone").encode())
    return cases


def _bundles(cases: Cases, bundle: Bundle, statement: bytes) -> None:
    empty_pool = replace(bundle, one_time=None)
    chain = (statement,)
    for name, one in {"with a one-time key": bundle, "without": empty_pool}.items():
        data = encode_bundles((one,), chain=chain)
        cases.good(f"a bundle {name}", "prekey-bundles", bytes=data)
    swapped = {
        "a one-time key for the signed one": replace(
            bundle, signed=bundle.one_time or bundle.signed
        ),
        "the signed key for a one-time one": replace(bundle, one_time=bundle.signed),
        "a small key for the KEM's": replace(bundle, kem=bundle.signed),
    }
    for name, one in swapped.items():
        cases.bad(name, "prekey-bundles", bytes=encode_bundles((one,), chain=chain))
    foreign = replace(bundle, device=DeviceKey(public("tablet")))
    data = encode_bundles((foreign,), chain=chain)
    cases.bad("another device's keys", "prekey-bundles", error="not-signed", bytes=data)
    twice = encode_bundles((bundle, empty_pool), chain=chain)
    cases.bad("one device twice", "prekey-bundles", bytes=twice)
    value = bundle.to_value()
    assert isinstance(value, list)
    for name, fields in {
        "no chain": {0: 1, 1: [value]},
        "a text in the chain": {0: 1, 1: [value], 2: ["text"]},
        "65 statements": {0: 1, 1: [value], 2: [b""] * 65},
        "eleven bundles": {0: 1, 1: [value] * 11, 2: []},
        "a bundle of three": {0: 1, 1: [value[:3]], 2: []},
        "a device key of 31": {0: 1, 1: [[bytes(31), *value[1:]]], 2: []},
        "a field too many": {0: 1, 1: [], 2: [], 3: 0},
    }.items():
        wrong: Any = fields
        cases.bad(name, "prekey-bundles", bytes=encode(wrong))
