"""The vectors of §19: what a phone and its gateway say about waking."""

from tests.vectors.cases import Cases
from wire.codec import encode
from wire.ids import LaneId
from wire.lanes import WakeRule
from wire.pushes import (
    Address,
    AddressKind,
    Hours,
    Reach,
    WhyLine,
    encode_number,
    encode_rules,
    encode_whys,
)

ENDPOINT = "https://push.example.net/wpush/v2/gAAAAAB"
PUBLIC = b"\4" + bytes(range(64))
AUTH = bytes(range(16))
LANES = (LaneId(b"\0\0" + b"a" * 14), LaneId(b"\0\0" + b"b" * 14))
NIGHT = Hours(
    zone="Europe/Berlin", quiet=(1320, 420), snooze_until=1_800_000_000, digests=(480, 1080)
)


def pushes() -> Cases:
    """§19."""
    cases = Cases("19", "Where a phone is pushed to, when it may ring, and why it did.")
    _addresses(cases)
    _hours(cases)
    _rules(cases)
    _whys(cases)
    data = encode_number(7)
    cases.good("the seventh parcel", "push-read", bytes=data)
    cases.bad("no number", "push-read", bytes=encode({0: 1, 1: b"7"}))
    cases.bad("a number below none", "push-read", bytes=encode({0: 1, 1: -1}))
    return cases


def _addresses(cases: Cases) -> None:
    address = Address(AddressKind.WEB_PUSH, ENDPOINT, PUBLIC, AUTH)
    cases.good("an address", "push-address", bytes=address.encode())
    fields = {0: 1, 1: 1, 2: ENDPOINT, 3: PUBLIC, 4: AUTH}
    cases.bad("version 2", "push-address", error="unknown-version", bytes=encode({0: 2}))
    for name, change in {
        "another kind": {1: 9},
        "a compressed key": {3: PUBLIC[:33]},
        "a secret of 15 bytes": {4: AUTH[:15]},
        "1001 bytes of an endpoint": {2: "x" * 1001},
        "a field too many": {5: 1},
    }.items():
        cases.bad(name, "push-address", bytes=encode({**fields, **change}))  # type: ignore[dict-item]  # some are wrong


def _hours(cases: Cases) -> None:
    cases.good("nothing set", "push-hours", bytes=Hours().encode())
    cases.good("quiet at night, two digests", "push-hours", bytes=NIGHT.encode())
    for name, value in {
        "a begin without an end": ["UTC", [60], 0, []],
        "a minute that no day has": ["UTC", [60, 1440], 0, []],
        "a digest that is true": ["UTC", [], 0, [True]],
        "25 digests": ["UTC", [], 0, [1] * 25],
        "a zone of 65 bytes": ["x" * 65, [], 0, []],
        "three parts": ["UTC", [], 0],
    }.items():
        cases.bad(name, "push-hours", bytes=encode({0: 1, 1: value}))  # type: ignore[dict-item]  # a list
    for name, reach in {
        "pushes to nobody": Reach(b"", 0, waits=False, hours=Hours()),
        "woken, another address waits": Reach(PUBLIC, 1, waits=True, hours=NIGHT),
    }.items():
        cases.good(name, "push-reach", bytes=reach.encode())
    cases.bad("cut", "push-reach", bytes=Reach(PUBLIC, 1, waits=True, hours=NIGHT).encode()[:-1])


def _rules(cases: Cases) -> None:
    data = encode_rules({LANES[0]: WakeRule.NEVER, LANES[1]: None})
    cases.good("one rule set, one taken back", "push-rules", bytes=data)
    for name, value in {
        "rule 5": [[LANES[0].raw, 5]],
        "a lane of 15 bytes": [[LANES[0].raw[:15], 1]],
        "a rule that is true": [[LANES[0].raw, True]],
        "a rule without a lane": [[1]],
    }.items():
        cases.bad(name, "push-rules", bytes=encode({0: 1, 1: value}))  # type: ignore[dict-item]  # a list


def _whys(cases: Cases) -> None:
    lines = [WhyLine(1_799_996_400, "never", LANES[0], 14), WhyLine(1_800_000_000, "woke", None, 1)]
    cases.good("fourteen that did not ring", "push-why", bytes=encode_whys(lines))
    cases.bad("a line of three", "push-why", bytes=encode({0: 1, 1: [[0, "woke", b""]]}))
    cases.bad("a lane of one byte", "push-why", bytes=encode({0: 1, 1: [[0, "woke", b"x", 1]]}))
