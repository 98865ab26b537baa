"""What a vector asks for, one function for each operation of docs/vectors/README.md.

An operation takes the `in` of a case and returns its `out`, both as JSON knows them: byte strings
as hex, integers of CBOR as text. Whatever the bytes do wrong, it raises a WireError.
"""

import base64
from collections.abc import Callable
from typing import Any

from nacl.signing import SigningKey

from wire import check_code
from wire.auth import Channel, LaneOpening, Login
from wire.card import Card, FreshnessNote, Signed
from wire.certificate import check_extension, identity_extension
from wire.codec import Value, decode
from wire.codes import ContactCode, DeviceCode, GatewayCode, KitCode, fingerprint
from wire.errors import Malformed, WireError
from wire.frames import (
    Ack,
    Bye,
    Cursor,
    Deposit,
    Frame,
    Hello,
    Parcels,
    Ping,
    Pong,
    Results,
    Resume,
    decode_frame,
    encode_frame,
)
from wire.ids import DeviceKey, GatewayId, Id, LaneId, PersonId
from wire.kdf import hash16, hash32, hkdf, mac16
from wire.lanes import LaneRight, LaneSecret
from wire.padding import padded_length
from wire.pairing import PairAnswer, PairRequest
from wire.parcel import Parcel, read_parcel
from wire.places import Place
from wire.prekeys import decode_bundles, decode_upload, encode_bundles, encode_upload
from wire.pushes import Address, Hours, Reach, decode_number, decode_rules, decode_whys
from wire.receipt import Receipt
from wire.recovery import Alarm, Ask, Left, Recover, RootProof, Told
from wire.signing import sign, verify

Json = dict[str, Any]
Operation = Callable[[Json], Json]

OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Enter a function under its name."""

    def enter(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return enter


def run(op: str, given: Json) -> Json:
    """Return the rest of a case: `{"out": …}`, or `{"error": code}`."""
    try:
        return {"out": OPERATIONS[op](given)}
    except WireError as error:
        return {"error": error.code}


def raw(given: Json, key: str) -> bytes:
    """Return the bytes of one field."""
    return bytes.fromhex(given[key])


# §2 Conventions


@operation("cbor")
def _cbor(given: Json) -> Json:
    return {"value": shown(decode(raw(given, "bytes"), limit=given.get("limit", 65_536)))}


def shown(value: Value) -> Any:
    """Return a CBOR value as JSON that says which type each part has."""
    match value:
        case None | bool():
            return value
        case int():
            return {"int": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case str():
            return {"text": value}
        case list():
            return {"list": [shown(part) for part in value]}
        case dict():
            return {"map": [[str(key), shown(part)] for key, part in value.items()]}


@operation("hash")
def _hash(given: Json) -> Json:
    parts = [bytes.fromhex(part) for part in given["parts"]]
    function = {16: hash16, 32: hash32}[given["size"]]
    return {"hash": function(given["domain"], *parts).hex()}


@operation("mac")
def _mac(given: Json) -> Json:
    parts = [bytes.fromhex(part) for part in given["parts"]]
    return {"mac": mac16(raw(given, "key"), given["domain"], *parts).hex()}


@operation("hkdf")
def _hkdf(given: Json) -> Json:
    ikm, salt, info = raw(given, "ikm"), raw(given, "salt"), raw(given, "info")
    return {"okm": hkdf(ikm, salt=salt, info=info, length=given["length"]).hex()}


@operation("sign")
def _sign(given: Json) -> Json:
    key = SigningKey(raw(given, "seed"))
    signature = sign(key, given["kind"], raw(given, "body"))
    return {"key": bytes(key.verify_key).hex(), "signature": signature.hex()}


@operation("verify")
def _verify(given: Json) -> Json:
    body, signature = raw(given, "body"), raw(given, "signature")
    verify(raw(given, "key"), given["kind"], body=body, signature=signature)
    return {"valid": True}


@operation("id")
def _id(given: Json) -> Json:
    kind = {16: LaneId, 32: PersonId}[given["size"]]
    if "text" in given:
        return {"bytes": kind.from_text(given["text"]).raw.hex()}
    found: Id = kind(raw(given, "bytes"))
    return {"text": found.text}


@operation("person-id")
def _person_id(given: Json) -> Json:
    return {"id": PersonId.of_root(raw(given, "root_key")).raw.hex()}


@operation("device-id")
def _device_id(given: Json) -> Json:
    return {"id": DeviceKey(raw(given, "device_key")).device.raw.hex()}


@operation("padding")
def _padding(given: Json) -> Json:
    return {"padded": padded_length(given["length"])}


# §3 Codes, TLS identity, pairing, login


@operation("place")
def _place(given: Json) -> Json:
    place = Place.parse(given["text"]) if "text" in given else Place.decode(raw(given, "bytes"))
    return {"host": place.host, "port": place.port, "bytes": place.encode().hex()}


@operation("gateway-code")
def _gateway_code(given: Json) -> Json:
    code = GatewayCode.parse(given["text"])
    return {
        "gateway": code.gateway.raw.hex(),
        "secret": code.secret.hex(),
        "expires": code.expires,
        "place": str(code.place),
        "text": code.text(),
    }


@operation("kit-code")
def _kit_code(given: Json) -> Json:
    code = KitCode.parse(given["text"])
    return {
        "seed": code.seed.hex(),
        "person": code.person.raw.hex(),
        "gateway": code.gateway.raw.hex() if code.gateway else "",
        "places": [str(place) for place in code.places],
        "text": code.text(),
    }


@operation("contact-code")
def _contact_code(given: Json) -> Json:
    code = ContactCode.parse(given["text"])
    return {
        "person": code.person.raw.hex(),
        "commitment": code.commitment.hex(),
        "slot": code.slot.raw.hex(),
        "expires": code.expires,
        "gateway": code.gateway.hex(),
        "place": str(code.place),
        "text": code.text(),
    }


@operation("device-code")
def _device_code(given: Json) -> Json:
    code = DeviceCode.parse(given["text"])
    return {
        "shown_by": int(code.shown_by),
        "commitment": code.commitment.hex(),
        "slot": code.slot.raw.hex(),
        "expires": code.expires,
        "gateway": code.gateway.hex(),
        "place": str(code.place),
        "text": code.text(),
    }


@operation("gateway-fingerprint")
def _fingerprint(given: Json) -> Json:
    return {"fingerprint": fingerprint(GatewayId(raw(given, "gateway"))).hex()}


@operation("check-code")
def _check_code(given: Json) -> Json:
    number = check_code.check_number(*(bytes.fromhex(part) for part in given["parts"]))
    return {
        "number": number,
        "digits": check_code.digits(number),
        "pictures": list(check_code.pictures(number)),
    }


@operation("certificate")
def _certificate(given: Json) -> Json:
    gateway = GatewayId(raw(given, "gateway"))
    check_extension(raw(given, "extension"), spki=raw(given, "spki"), gateway=gateway)
    return {"valid": True}


@operation("make-certificate-extension")
def _extension(given: Json) -> Json:
    key = SigningKey(raw(given, "seed"))
    return {"extension": identity_extension(key, spki=raw(given, "spki")).hex()}


def channel(given: Json) -> Channel:
    """Return the gateway and certificate of a case."""
    return Channel.over(GatewayId(raw(given, "gateway")), certificate=raw(given, "certificate"))


@operation("pair-request")
def _pair_request(given: Json) -> Json:
    request = PairRequest.decode(raw(given, "bytes"))
    return {
        "device": request.device.raw.hex(),
        "exchange_key": request.exchange_key.hex(),
        "chain": [one.hex() for one in request.chain],
        "confirmed": request.confirmed,
        "proved": request.made_with(raw(given, "secret"), channel=channel(given)),
        "check_number": request.check_number(nonce=raw(given, "nonce")),
        "bytes": request.encode().hex(),
    }


@operation("pair-answer")
def _pair_answer(given: Json) -> Json:
    answer = PairAnswer.decode(raw(given, "bytes"))
    return {
        "state": answer.state.name.lower(),
        "nonce": answer.nonce.hex(),
        "places": list(answer.places),
        "bytes": answer.encode().hex(),
    }


@operation("login")
def _login(given: Json) -> Json:
    login = Login.decode(raw(given, "bytes"))
    login.verify(channel(given))
    return {"device": login.device.raw.hex(), "nonce": login.nonce.hex()}


@operation("make-login")
def _make_login(given: Json) -> Json:
    key = SigningKey(raw(given, "seed"))
    login = Login.sign(key, channel=channel(given), nonce=raw(given, "nonce"))
    return {"bytes": login.encode().hex()}


# §4 Lanes and parcels


@operation("lane")
def _lane(given: Json) -> Json:
    gateway = GatewayId(raw(given, "gateway"))
    lane = LaneSecret(raw(given, "secret")).at(gateway, slot=raw(given, "slot"))
    return {"id": lane.id.raw.hex(), "key": lane.key.hex()}


@operation("lane-right")
def _lane_right(given: Json) -> Json:
    right = LaneRight.from_value(decode(raw(given, "bytes"), limit=4096))
    return {
        "id": right.lane.id.raw.hex(),
        "key": right.lane.key.hex(),
        "rule": right.rule.name.lower().replace("_", "-"),
        "wakes_per_day": right.wakes_per_day,
        "bytes_waiting": right.bytes_waiting,
        "expires": right.expires,
        "last_tenth": right.last_tenth,
    }


@operation("parcel")
def _parcel(given: Json) -> Json:
    data = raw(given, "bytes")
    parcel, end = read_parcel(data)
    return {**_parcel_fields(parcel), "end": end}


def _parcel_fields(parcel: Parcel) -> Json:
    return {
        "lane": parcel.lane.raw.hex(),
        "id": parcel.id.raw.hex(),
        "lifetime_seconds": parcel.lifetime.seconds,
        "purge": parcel.purge.hex(),
        "body_bytes": len(parcel.body),
        "body_hash": parcel.body_hash.hex(),
    }


@operation("parcel-proof")
def _parcel_proof(given: Json) -> Json:
    gateway = GatewayId(raw(given, "gateway"))
    lane = LaneSecret(raw(given, "secret")).at(gateway)
    parcel, _ = read_parcel(raw(given, "bytes"))
    proof = parcel.proof(lane, gateway=gateway)
    fits = parcel.proved_by(raw(given, "proof"), lane, gateway=gateway)
    return {"fits": fits} if not fits else {"fits": fits, "proof": proof.hex()}


@operation("lane-opening")
def _lane_opening(given: Json) -> Json:
    opening = LaneOpening.decode(base64.urlsafe_b64decode(given["header"] + "=="))
    lane = LaneSecret(raw(given, "secret")).at(GatewayId(raw(given, "gateway")))
    fits = opening.proved_by(lane, channel=channel(given), purpose=given["purpose"])
    return {"lane": opening.lane.raw.hex(), "nonce": opening.nonce.hex(), "fits": fits}


# §5 Frames


@operation("frame")
def _frame(given: Json) -> Json:
    frame = decode_frame(raw(given, "bytes"))
    return {**_frame_fields(frame), "bytes": encode_frame(frame).hex()}


def _frame_fields(frame: Frame) -> Json:
    name: Json = {"frame": type(frame).__name__.lower()}
    match frame:
        case Resume(cursor) | Ack(cursor):
            return name | _cursor(cursor)
        case Ping() | Pong():
            return name
        case Hello(epoch, newest, reset):
            return name | {"epoch": epoch.raw.hex(), "newest": newest, "reset": reset}
        case Bye(code):
            return name | {"code": code}
        case Parcels(parcels):
            shown = [{"seq": one.seq, **_parcel_fields(one.parcel)} for one in parcels]
            return name | {"parcels": shown}
        case Deposit(tag, proved):
            shown = [{"proof": one.proof.hex(), **_parcel_fields(one.parcel)} for one in proved]
            return name | {"tag": tag, "parcels": shown}
        case Results(tag, outcomes):
            results = [
                {"id": o.parcel.raw.hex(), "result": o.result.code, "retry_after": o.retry_after}
                for o in outcomes
            ]
            return name | {"tag": tag, "results": results}
        case Receipt(stored, signature):
            signed = [{"id": o.parcel.raw.hex(), "body_hash": o.body_hash.hex()} for o in stored]
            return name | {"stored": signed, "signature": signature.hex()}


@operation("receipt")
def _receipt(given: Json) -> Json:
    frame = decode_frame(raw(given, "bytes"))
    if not isinstance(frame, Receipt):
        raise Malformed("another frame")
    frame.verify(GatewayId(raw(given, "gateway")))
    return {"valid": True}


def _cursor(cursor: Cursor) -> Json:
    return {"epoch": cursor.epoch.raw.hex(), "seq": cursor.seq, "parcel": cursor.parcel.raw.hex()}


# §10 Cards and prekeys


@operation("statement")
def _statement(given: Json) -> Json:
    signed = Signed.decode(raw(given, "bytes"))
    said = signed.statement
    return {
        "kind": said.kind.name.lower(),
        "root_key": said.root_key.hex(),
        "epoch": said.epoch,
        "seq": said.seq,
        "prev": said.prev.hex(),
        "devices": [[d.key.raw.hex(), d.exchange_key.hex(), int(d.role)] for d in said.devices],
        "person_generation": said.person_generation,
        "person_public": said.person_public.hex(),
        "gateways": [[one.gateway.raw.hex(), list(one.places)] for one in said.gateways],
        "issued": said.issued,
        "expires": said.expires,
        "signer": said.signer.hex(),
        "next_root": said.next_root.hex() if said.next_root else None,
        "hash": signed.hash.hex(),
        "bytes": signed.encode().hex(),
    }


@operation("card")
def _card(given: Json) -> Json:
    first, *later = (bytes.fromhex(one) for one in given["statements"])
    card = Card.begin(PersonId(raw(given, "person")), Signed.decode(first))
    verdicts = []
    for data in later:
        try:
            card, verdict = card.take(Signed.decode(data))
            verdicts.append(verdict.name.lower())
        except WireError as error:
            verdicts.append(error.code)
    where = card.position
    return {
        "verdicts": verdicts,
        "epoch": where.epoch,
        "seq": where.seq,
        "hash": where.hash.hex(),
        "forked": card.fork is not None,
        "devices": [one.key.raw.hex() for one in card.sealable()],
    }


@operation("freshness-note")
def _freshness_note(given: Json) -> Json:
    note = FreshnessNote.decode(raw(given, "bytes"))
    note.verify(Card.follow(PersonId(raw(given, "person")), _all(given["chain"])))
    return {"expires": note.expires, "bytes": note.encode().hex()}


def _all(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in texts]


@operation("prekey-upload")
def _prekey_upload(given: Json) -> Json:
    prekeys = decode_upload(raw(given, "bytes"))
    for one in prekeys:
        one.verify(DeviceKey(raw(given, "device")))
    return {
        "prekeys": [[int(one.kind), one.id, one.public.hex()] for one in prekeys],
        "bytes": encode_upload(prekeys).hex(),
    }


@operation("prekey-bundles")
def _prekey_bundles(given: Json) -> Json:
    found = decode_bundles(raw(given, "bytes"))
    for one in found.bundles:
        one.verify()
    return {
        "bundles": [
            {
                "device": one.device.raw.hex(),
                "signed": one.signed.id,
                "kem": [int(one.kem.kind), one.kem.id],
                "one_time": None if one.one_time is None else one.one_time.id,
            }
            for one in found.bundles
        ],
        "chain": [one.hex() for one in found.chain],
        "bytes": encode_bundles(found.bundles, chain=found.chain).hex(),
    }


# §19 Waking


@operation("push-address")
def _push_address(given: Json) -> Json:
    address = Address.decode(raw(given, "bytes"))
    return {
        "kind": int(address.kind),
        "endpoint": address.endpoint,
        "public": address.public.hex(),
        "auth": address.auth.hex(),
    }


@operation("push-hours")
def _push_hours(given: Json) -> Json:
    return _hours_fields(Hours.decode(raw(given, "bytes")))


@operation("push-reach")
def _push_reach(given: Json) -> Json:
    reach = Reach.decode(raw(given, "bytes"))
    return {
        "vapid": reach.vapid.hex(),
        "address": reach.address,
        "waits": reach.waits,
        "hours": _hours_fields(reach.hours),
    }


@operation("push-rules")
def _push_rules(given: Json) -> Json:
    rules = decode_rules(raw(given, "bytes"))
    return {"rules": [[lane.raw.hex(), int(rule or 0)] for lane, rule in rules.items()]}


@operation("push-read")
def _push_read(given: Json) -> Json:
    return {"number": decode_number(raw(given, "bytes"))}


@operation("push-why")
def _push_why(given: Json) -> Json:
    lines = decode_whys(raw(given, "bytes"))
    return {
        "lines": [
            [one.hour, one.why, one.lane.raw.hex() if one.lane else "", one.times] for one in lines
        ]
    }


def _hours_fields(hours: Hours) -> Json:
    return {
        "zone": hours.zone,
        "quiet": list(hours.quiet) if hours.quiet else [],
        "snooze_until": hours.snooze_until,
        "digests": list(hours.digests),
    }


@operation("root-proof")
def _root_proof(given: Json) -> Json:
    proof = RootProof.decode(raw(given, "bytes"))
    proof.verify(channel(given), purpose=given["purpose"])
    return {
        "person": proof.person.raw.hex(),
        "root_key": proof.root_key.hex(),
        "nonce": proof.nonce.hex(),
        "about": proof.about.hex(),
    }


@operation("recover")
def _recover(given: Json) -> Json:
    asked = Recover.decode(raw(given, "bytes"))
    signed, device = asked.verify(channel(given))
    return {
        "person": asked.person.raw.hex(),
        "epoch": signed.statement.epoch,
        "device": device.key.raw.hex(),
    }


@operation("recovery-ask")
def _recovery_ask(given: Json) -> Json:
    ask = Ask.decode(raw(given, "bytes"))
    return {
        "person": ask.person.raw.hex(),
        "exchange_key": ask.exchange_key.hex(),
        "lost": [one.raw.hex() for one in ask.lost],
        "proved": ask.proved_by(raw(given, "proof_key"), channel=channel(given)),
    }


@operation("recovery-share")
def _recovery_share(given: Json) -> Json:
    left = Left.decode(raw(given, "bytes"))
    return {
        "proof_key": left.proof_key.hex(),
        "share": left.share.hex(),
        "notice": left.notice.hex(),
    }


@operation("recovery-told")
def _recovery_told(given: Json) -> Json:
    told = Told.decode(raw(given, "bytes"))
    return {
        "request": told.request.raw.hex(),
        "stage": int(told.stage),
        "left": told.left,
        "share": told.share.hex(),
    }


@operation("recovery-alarm")
def _recovery_alarm(given: Json) -> Json:
    alarm = Alarm.decode(raw(given, "bytes"))
    asked = [
        {
            "request": one.request.raw.hex(),
            "exchange_key": one.exchange_key.hex(),
            "stage": int(one.stage),
            "left": one.left,
            "lost": [device.raw.hex() for device in one.lost],
        }
        for one in alarm.asked
    ]
    return {"kept": alarm.kept, "asked": asked}
