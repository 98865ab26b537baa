"""Phones, the real command on a real file, and contacts who send them what is none."""

import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

import pytest

from gateway.identity import load_identity
from peer import sqlite
from peer.items.kinds import Content, Kind, Letter, Unknown
from peer.store import FILE_NAME
from peer.ways.connection import Destination, connect
from peer.ways.gateway_client import DepositClient
from tests.essay.ledger import Ledger
from tests.essay.phones import Pocket
from tests.essay.scene import Watched, scene
from tests.faults.conftest import Amount
from tests.faults.here import patience, times
from wire.frames import Proved, Result
from wire.ids import ParcelId
from wire.lanes import LaneSecret
from wire.padding import padded_length
from wire.parcel import Lifetime, Parcel
from wire.places import Place

pytestmark = pytest.mark.timeout(patience())

LARGE: Final = padded_length(900_000)
"""Bytes of about the largest body that a phone sends."""
NO_ITEMS: Final[tuple[Content, ...]] = (
    Unknown(Kind.LETTER.value, {0: 5}),
    Unknown(Kind.LETTER.value, {0: "x" * 70_000}),  # more than a text may have
    Unknown(Kind.LETTER.value, {0: "a picture", 1: ["n" * 300, "image/png", b"x"]}),
    Unknown(Kind.LETTER.value, {1: ["no", "text", b"x"]}),
    Unknown(Kind.LETTER.value, None),
    Unknown(Kind.RESEND.value, {0: b"short", 1: [[1, 2]]}),
    Unknown(Kind.RESEND.value, {0: bytes(16), 1: [[1, (1 << 63) - 1]] * 65}),
    Unknown(Kind.GONE.value, {0: bytes(16), 1: [[0, 0]]}),
    Unknown(Kind.CARD.value, {0: [bytes(5000)]}),
    Unknown(Kind.CARD.value, {0: [b"no statement"] * 3}),
    Unknown(Kind.LANES.value, {0: [[1, b"short"]]}),
    Unknown(Kind.LANES.value, {0: [[1, bytes(32)], [1, bytes(32)]]}),
    Unknown(Kind.RESET.value, {0: bytes(16), 1: -1, 2: []}),
)
"""Items that are signed and sealed as they should be, and say what no phone may believe."""


def no_bodies() -> list[bytes]:
    """Return parcel bodies that hold nothing that was sealed, small and as large as can be."""
    suite, other = b"\x01", b"\x02"
    return [
        bytes(256),
        secrets.token_bytes(256),
        suite + secrets.token_bytes(255),
        other + secrets.token_bytes(255),
        suite + bytes(1023),
        secrets.token_bytes(LARGE),
        suite + secrets.token_bytes(LARGE - 1),
    ]


async def deposit(box: Watched, sender: Pocket, bodies: Sequence[bytes]) -> None:
    """Hand in bodies on every lane that a phone holds, as a contact can who has another program."""
    identity = load_identity(box.box.data, fresh=False)
    with closing(sqlite.connect(sender.home / FILE_NAME)) as file:
        rows = file.execute("SELECT secret FROM lane_taken").fetchall()
    lanes = [LaneSecret(secret).at(identity.gateway) for (secret,) in rows]
    destination = Destination(identity.gateway, (Place.parse(box.box.place),), identity.certificate)
    async with connect(destination, learned=lambda *_: None) as connection:
        for lane in lanes:
            for body in bodies:
                id, purge = ParcelId(secrets.token_bytes(16)), secrets.token_bytes(32)
                parcel = Parcel(lane.id, id, Lifetime.WEEK, purge, body)
                proved = Proved(parcel.proof(lane, gateway=identity.gateway), parcel)
                [outcome] = await DepositClient(connection).deposit(lane, [proved])
                assert outcome.result is Result.STORED
    assert lanes


async def test_bi_09_what_is_no_item_is_passed_over_and_the_rest_is_read(amount: Amount) -> None:
    """BI-09: bodies that open under no key, items that say nonsense; letters between are shown."""
    async with scene(Ledger(), short=True, seed=1) as stage:
        box = await stage.gateway()
        anna, ben = await stage.household("Anna", "Ben", gateway=box)
        await ben.off()
        phone = stage.phone("Ben")
        texts = list[str]()

        async def letter() -> None:
            texts.append(f"letter {len(texts)}")
            await anna.write("Ben", [texts[-1]])

        bodies, items = no_bodies(), NO_ITEMS * times(1, long=20)
        await letter()
        await deposit(box, anna, bodies)
        await letter()
        for item in items:
            assert await anna.put("Ben", [item]) == 0
        await letter()
        first = await phone.run("read")

        assert [one["text"] for one in first["letters"]] == texts
        assert {one["from"] for one in first["unreadable"]} == {"Anna"}
        assert (await phone.run("read"))["letters"] == []
        watching = await phone.start("watch")
        await watching.event("here")
        await deposit(box, anna, bodies)
        await anna.put("Ben", [*items, Letter.write("at last")])
        assert (await watching.event("letter"))["text"] == "at last"
        assert await watching.stop() in (0, 130, -15)
        status: dict[str, Any] = await box.box.command("status")
        assert status["waiting"] == 0
    amount(f"{2 * (2 * len(bodies) + len(items))} parcels that are none")
