"""`homepost notifications`: what may ring on this phone, when not, and why it did."""

import base64
import binascii
import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from peer import show
from peer.command import command
from peer.commands.call import DONE, Call, Commands
from peer.errors import PeerError
from peer.ways.notifying import Reason, RuleLine
from wire.lanes import LaneClass, WakeRule
from wire.pushes import AUTH_BYTES, PUBLIC_BYTES, TOKEN_BYTES, Address, AddressKind, Hours, Reach

RULES: Final = {
    "always": WakeRule.WAKE,
    "day": WakeRule.WAKE_OUTSIDE_QUIET_HOURS,
    "digest": WakeRule.DIGEST,
    "never": WakeRule.NEVER,
}
KINDS: Final = {"letters": LaneClass.LETTER, "posts": LaneClass.ORDINARY}
_RULE_NAMES: Final = {rule: name for name, rule in RULES.items()}
_KIND_NAMES: Final = {kind: name for name, kind in KINDS.items()}
_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_SPAN: Final = re.compile(r"([0-9]{1,4})(m|h|d)")
_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400}
_WHY: Final = {
    "woke": "rang",
    "digest-sent": "told of in a digest",
    "never": "did not ring: you said never",
    "digest": "did not ring: waits for the digest",
    "lane-budget": "did not ring: too many in one day",
    "snoozed": "did not ring: snoozed",
    "quiet-hours": "did not ring: quiet hours",
    "connected": "did not ring: this phone was connected",
    "read-elsewhere": "did not ring: another device was there to read it",
    "outstanding": "did not ring again: this phone had not collected yet",
    "gap": "did not ring again at once",
    "sending": "did not ring again at once",
    "over-budget": "did not ring: too many in one hour",
    "provider": "did not ring yet: the push service does not take more",
}


class NotUnderstood(PeerError):
    """A time, a span or a key that is none."""

    code = "not-understood"


def add_to(commands: Commands) -> None:
    """Put the group on the line."""
    group = commands.group("notifications", _show, "what may ring on this phone, and why it did")
    group.add("show", _show, "show how this phone is woken, and what may ring")
    rule = group.add("rule", _rule, "set what may ring; nobody hears of it")
    rule.add_argument("name", help="whose letters or posts")
    rule.add_argument("rule", choices=[*RULES, "same"], help="same: with --here, as elsewhere")
    rule.add_argument("--kind", choices=list(KINDS), default="letters")
    rule.add_argument("--here", action="store_true", help="on this device only")
    quiet = group.add("quiet", _quiet, "set quiet hours, or: quiet off")
    quiet.add_argument("begin", help="such as 22:00")
    quiet.add_argument("end", nargs="?", help="such as 07:00")
    quiet.add_argument("--zone", help="a time zone such as Europe/Berlin; that of this device")
    digest = group.add("digest", _digest, "set when to tell of what did not ring, or: digest off")
    digest.add_argument("times", nargs="+", help="such as 08:00 18:00")
    digest.add_argument("--zone", help="a time zone such as Europe/Berlin; that of this device")
    snooze = group.add("snooze", _snooze, "let nothing ring for a while, or: snooze off")
    snooze.add_argument("span", help="such as 30m, 2h or 1d")
    group.add("why", _why, "say why it rang in the last seven days, and why it did not")
    address = group.add("register", _register, "register what a push service gave this device")
    address.add_argument("endpoint", help="the address that it gave")
    address.add_argument("key", help="the key (p256dh), in base64url")
    address.add_argument("auth", help="the secret (auth), in base64url")
    confirm = group.add("confirm", _confirm, "say that the first push has come")
    confirm.add_argument("token", help="the word that came with it")
    group.add("unregister", _unregister, "have nothing pushed to this device any more")
    group.add("test", _test, "have a test pushed to this device")


async def _show(call: Call) -> int:
    async with call.phone() as peer:
        reach = await peer.notifications.reach()
        rules = await peer.notifications.rules()
        call.screen.tell(
            "notifications",
            "\n".join([*reach_lines(reach, now=time.time()), "", *rule_lines(rules)]).rstrip(),
            path=_path(reach),
            vapid=_base64url(reach.vapid),
            waits=reach.waits,
            **_hours_facts(reach.hours),
            rules=[
                {
                    "name": one.contact,
                    "kind": _KIND_NAMES[one.kind],
                    "rule": _RULE_NAMES[one.rule],
                    "here": _RULE_NAMES[one.here] if one.here else None,
                }
                for one in rules
            ],
        )
    return DONE


async def _rule(call: Call) -> int:
    arguments = call.arguments
    kind, rule = KINDS[arguments.kind], RULES.get(arguments.rule)
    if rule is None and not arguments.here:
        raise NotUnderstood("“same” goes with --here: it takes a rule of this device back")
    async with call.phone() as peer:
        contact = peer.contacts.named(arguments.name)
        told = True
        if arguments.here:
            await peer.notifications.set_rule_here(contact, kind, rule)
        elif rule is not None:
            told = await peer.notifications.set_rule(contact, kind, rule)
        call.screen.tell(
            "rule",
            f"{arguments.kind.capitalize()} of {show.name(contact.name)}: {arguments.rule}"
            f"{' on this device' if arguments.here else ''}. They do not hear of it."
            + (
                "" if told else " Your box does not answer just now; it is told as soon as it does."
            ),
            name=contact.name,
            kind=arguments.kind,
            rule=arguments.rule,
            here=arguments.here,
            gateway_knows=told,
        )
    return DONE


async def _quiet(call: Call) -> int:
    begin, end, zone = call.arguments.begin, call.arguments.end, call.arguments.zone
    if (begin == "off") is (end is not None):
        raise NotUnderstood("write a begin and an end, such as 22:00 07:00, or: off")
    quiet = None if begin == "off" else (minute_of(begin), minute_of(end))
    async with call.phone() as peer:
        hours = await peer.notifications.set_quiet(quiet, zone=zone or local_zone())
        call.screen.tell("quiet", f"{_quiet_line(hours)}.", **_hours_facts(hours))
    return DONE


async def _digest(call: Call) -> int:
    times: list[str] = call.arguments.times
    digests = () if times == ["off"] else tuple(sorted({minute_of(one) for one in times}))
    async with call.phone() as peer:
        zone = call.arguments.zone or local_zone()
        hours = await peer.notifications.set_digests(digests, zone=zone)
        call.screen.tell("digest", f"{_digest_line(hours)}.", **_hours_facts(hours))
    return DONE


async def _snooze(call: Call) -> int:
    span = call.arguments.span
    until = 0 if span == "off" else int(time.time()) + seconds_of(span)
    async with call.phone() as peer:
        hours = await peer.notifications.snooze(until)
        said = f"Nothing rings until {_clock(until)}." if until else "It rings again."
        call.screen.tell("snooze", said, **_hours_facts(hours))
    return DONE


async def _why(call: Call) -> int:
    async with call.phone() as peer:
        reasons = await peer.notifications.why()
        call.screen.tell(
            "why",
            "\n".join(map(why_line, reasons)) or "Nothing came in the last seven days.",
            reasons=[
                {
                    "hour": one.hour,
                    "why": one.why,
                    "name": one.contact,
                    "kind": _KIND_NAMES.get(one.kind) if one.kind else None,
                    "times": one.times,
                }
                for one in reasons
            ],
        )
    return DONE


async def _register(call: Call) -> int:
    arguments = call.arguments
    address = Address(
        AddressKind.WEB_PUSH,
        arguments.endpoint,
        _bytes(arguments.key, PUBLIC_BYTES),
        _bytes(arguments.auth, AUTH_BYTES),
    )
    async with call.phone() as peer:
        await peer.notifications.register(address)
        call.screen.tell(
            "registered",
            "A push is on its way. Bring back the word in it within ten minutes: "
            + command("notifications confirm TOKEN"),
        )
    return DONE


async def _confirm(call: Call) -> int:
    token = _bytes(call.arguments.token, TOKEN_BYTES)
    async with call.phone() as peer:
        await peer.notifications.confirm(token)
        call.screen.tell("confirmed", "This device is woken by pushes from now on.")
    return DONE


async def _unregister(call: Call) -> int:
    async with call.phone() as peer:
        await peer.notifications.unregister()
        call.screen.tell("unregistered", "Nothing is pushed to this device any more.")
    return DONE


async def _test(call: Call) -> int:
    async with call.phone() as peer:
        await peer.notifications.test()
        call.screen.tell("tested", "The push service has taken a test for this device.")
    return DONE


# Words


def reach_lines(reach: Reach, *, now: float) -> list[str]:
    """Return how this device is woken, for people."""
    found = {
        "off": "Your box pushes to nobody: letters come while this phone is connected.",
        "connection": "No push service is registered: letters come while this phone is connected.",
        "web-push": "Woken by Web Push or UnifiedPush.",
    }[_path(reach)]
    lines = [found, f"{_quiet_line(reach.hours)}.", f"{_digest_line(reach.hours)}."]
    if reach.waits:
        lines.insert(1, "Another address waits to be confirmed.")
    if reach.hours.snooze_until > now:
        lines.append(f"Snoozed until {_clock(reach.hours.snooze_until)}.")
    return lines


def rule_lines(rules: list[RuleLine]) -> list[str]:
    """Return what may ring, a line for each contact and kind."""
    return [
        f"{show.name(one.contact)}, {_KIND_NAMES[one.kind]}: {_RULE_NAMES[one.rule]}"
        + (f" (here: {_RULE_NAMES[one.here]})" if one.here else "")
        for one in rules
    ]


def why_line(reason: Reason) -> str:
    """Return one line of why it rang or did not."""
    what = _KIND_NAMES.get(reason.kind, "parcels") if reason.kind else "parcels"
    whose = f" of {show.name(reason.contact)}" if reason.contact else ""
    said = _WHY.get(reason.why, show.name(reason.why))
    return f"{_clock(reason.hour)}  {reason.times} × {what}{whose}: {said}"


def minute_of(text: str) -> int:
    """Return the minutes after midnight of a time such as 22:00.

    Raises:
        NotUnderstood: no time of day.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise NotUnderstood(f"{text!r} is no time of day; write it as 07:30")
    return int(found[1]) * 60 + int(found[2])


def seconds_of(text: str) -> int:
    """Return the seconds of a span such as 30m, 2h or 1d.

    Raises:
        NotUnderstood: no span.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise NotUnderstood(f"{text!r} is no span of time; write 30m, 2h or 1d, or: off")
    return int(found[1]) * _UNITS[found[2]]


def local_zone() -> str:
    """Return the name of this device's time zone, UTC where it does not say."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and not named.startswith("/"):
        return named
    try:
        return str(Path("/etc/localtime").resolve(strict=True)).partition("/zoneinfo/")[2] or "UTC"
    except OSError:
        return "UTC"


def _path(reach: Reach) -> str:
    return "off" if not reach.vapid else "web-push" if reach.address else "connection"


def _hours_facts(hours: Hours) -> dict[str, Any]:
    return {
        "zone": hours.zone,
        "quiet": [_time(one) for one in hours.quiet] if hours.quiet else None,
        "digests": [_time(one) for one in hours.digests],
        "snooze_until": hours.snooze_until,
    }


def _quiet_line(hours: Hours) -> str:
    if hours.quiet is None:
        return "No quiet hours"
    begin, end = map(_time, hours.quiet)
    return f"Quiet from {begin} to {end} ({show.name(hours.zone)}); “always” rings all the same"


def _digest_line(hours: Hours) -> str:
    if not hours.digests:
        return "No digest"
    return f"Digest at {', '.join(map(_time, hours.digests))} ({show.name(hours.zone)})"


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%a %d %b %H:%M")


def _bytes(text: str, size: int) -> bytes:
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != size:
        raise NotUnderstood(f"{text!r} is not {size} bytes in base64url")
    return found


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
