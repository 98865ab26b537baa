"""The vectors of §16.2 and §16.3: root proofs, coming back, asking for the gateway's share."""

from dataclasses import replace
from typing import Any

from tests.vectors.cases import Cases
from tests.vectors.wire_messages import CERTIFICATE, CHANNEL, GATEWAY, NONCE
from tests.wire.people import PERSON, birth, device, exchange, named, signing
from wire.auth import Channel
from wire.codec import encode
from wire.ids import RecoveryId
from wire.recovery import Alarm, Ask, Asked, Left, Recover, RootProof, Stage, Told

OTHER = Channel(GATEWAY, named("another certificate"))
REQUEST = RecoveryId(named("request", 16))


def recovery() -> Cases:
    """§16.2 and §16.3."""
    cases = Cases("16.2", "The root key at a gateway, and the gateway's share of a seed.")
    where: dict[str, Any] = {"gateway": GATEWAY.raw, "certificate": CERTIFICATE}
    _with_the_root(cases, where)
    _with_friends(cases, where)
    return cases


def _with_the_root(cases: Cases, where: dict[str, Any]) -> None:
    proof = RootProof.make(
        signing("root"), person=PERSON, channel=CHANNEL, nonce=NONCE, purpose="recover-card"
    )
    card: dict[str, Any] = {"purpose": "recover-card", **where}
    cases.good("a root proof", "root-proof", bytes=proof.encode(), **card)
    stopped = RootProof.make(
        signing("root"),
        person=PERSON,
        channel=CHANNEL,
        nonce=NONCE,
        purpose="recovery-cancel",
        about=REQUEST.raw,
    )
    cancel: dict[str, Any] = {"purpose": "recovery-cancel", **where}
    cases.good("one about a request", "root-proof", bytes=stopped.encode(), **cancel)
    for name, wrong in {
        "about something else": replace(stopped, about=b"else"),
        "of another nonce": replace(stopped, nonce=named("another nonce")),
        "of another key": replace(stopped, root_key=device("phone").raw),
        "for another purpose": proof,
    }.items():
        data = wrong.encode()
        cases.bad(f"a proof {name}", "root-proof", error="not-signed", bytes=data, **cancel)
    cases.bad("half a proof", "root-proof", bytes=proof.encode()[:-1], **card)
    cases.bad(
        "a proof of version 2", "root-proof", error="unknown-version", bytes=encode({0: 2}), **card
    )

    back = birth("phone", epoch=2)

    def recovers(statement: bytes | None = None, channel: Channel = CHANNEL) -> bytes:
        made = Recover.make(
            signing("phone"), person=PERSON, statement=back, channel=channel, nonce=NONCE
        )
        return made.encode() if statement is None else replace(made, statement=statement).encode()

    cases.good("somebody comes back", "recover", bytes=recovers(), **where)
    elsewhere = recovers(channel=OTHER)
    cases.bad("on another connection", "recover", error="not-signed", bytes=elsewhere, **where)
    other = recovers(birth("tablet", epoch=2).encode())
    cases.bad("with another's device", "recover", error="not-signed", bytes=other, **where)
    two = recovers(birth("phone", "tablet", epoch=2).encode())
    cases.bad("with two devices", "recover", bytes=two, **where)


def _with_friends(cases: Cases, where: dict[str, Any]) -> None:
    key, lost = named("proof key"), (device("phone").device, device("tablet").device)
    ask = Ask.make(
        key,
        person=PERSON,
        exchange_key=exchange("new"),
        lost=lost,
        channel=CHANNEL,
        nonce=NONCE,
    )
    given: dict[str, Any] = {"proof_key": key, **where}
    cases.good("friends ask", "recovery-ask", bytes=ask.encode(), **given)
    fewer = replace(ask, lost=ask.lost[:1])
    cases.good("altered on its way", "recovery-ask", bytes=fewer.encode(), **given)
    backwards = replace(ask, lost=ask.lost[::-1])
    cases.bad("lost devices out of order", "recovery-ask", bytes=backwards.encode(), **given)
    weak = replace(ask, exchange_key=bytes(32))
    cases.bad("with a weak key", "recovery-ask", bytes=weak.encode(), **given)
    left = Left(key, named("share", 25), named("notice", 16))
    cases.good("a share is left", "recovery-share", bytes=left.encode())
    cases.bad("a share of 65", "recovery-share", bytes=replace(left, share=bytes(65)).encode())
    waiting = Told(REQUEST, Stage.WAITING, 72 * 3600)
    cases.good("it waits", "recovery-told", bytes=waiting.encode())
    out = Told(REQUEST, Stage.RELEASED, 0, left.share)
    cases.good("it is out", "recovery-told", bytes=out.encode())
    cases.bad(
        "longer than three days", "recovery-told", bytes=replace(waiting, left=259_201).encode()
    )
    asked = Asked(REQUEST, exchange("new"), Stage.WAITING, 3600, ask.lost)
    cases.good("an alarm", "recovery-alarm", bytes=Alarm(True, (asked,)).encode())
    cases.good("nothing to see", "recovery-alarm", bytes=Alarm(False, ()).encode())
    cases.bad("an alarm of another form", "recovery-alarm", bytes=encode({0: 1, 1: 1, 2: []}))
