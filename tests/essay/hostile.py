"""A gateway that means ill: the real one, started as ever, with a store that does what it is told.

The environment says what:

    ESSAY_DROP     a share of parcels that are answered as stored and thrown away
    ESSAY_SHUFFLE  a file that counts what is held back and handed out twice; the order is by dice
    ESSAY_FORGE    a file: while it is there, prekeys and a device of the gateway’s own are handed
                   out as others’, and counted in it
    ESSAY_LEAK     a file whose words it keeps where ESSAY_LEAK_TO says: disk, memory, log, frames,
                   or tells its owner (status)
    ESSAY_RESTLESS how often in a second it wakes for nothing
"""

import logging
import os
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nacl.public import PrivateKey
from nacl.signing import SigningKey
from quart import Response

from gateway.cli import main
from gateway.front import Front
from gateway.mailbox.cursors import Resumed
from gateway.mailbox.store import Deposited, MailboxStore
from gateway.status import Running
from gateway.sync.prekeys import PrekeyStore
from gateway.sync.store import SyncStore
from wire.card import DeviceEntry, Signed, StatementKind
from wire.frames import (
    MAX_PARCELS,
    Cursor,
    Delivered,
    Outcome,
    Parcels,
    Proved,
    Result,
    encode_frame,
)
from wire.ids import DeviceId, DeviceKey, LaneId, SeatId
from wire.parcel import Parcel
from wire.prekeys import Bundle, Prekey
from wire.signing import sign

Answer = Callable[[Deposited], None]
HandIn = Callable[[MailboxStore, Sequence[Proved], Answer], None]

kept: list[bytes] = []
"""What a leaky gateway remembers."""


def drop(share: float, *, seed: int, count: Path) -> None:
    """Let the store throw away a share of the parcels it says it has stored.

    Args:
        share: from 0 to 1.
        seed: of the dice that choose.
        count: a file that gets one byte for each.
    """
    dice = random.Random(seed)  # noqa: S311  # it chooses victims, no keys
    honest: HandIn = MailboxStore.hand_in

    def hand_in(self: MailboxStore, parcels: Sequence[Proved], answer: Answer) -> None:
        victims = {one.parcel.id for one in parcels if dice.random() < share}
        with count.open("ab") as file:
            file.write(b"." * len(victims))

        def lie(stored: Deposited) -> None:
            answers = {one.parcel: one for one in stored.outcomes}
            said = [
                answers.get(one.parcel.id, Outcome(one.parcel.id, Result.STORED, 0))
                for one in parcels
            ]
            answer(Deposited(tuple(said), stored.arrived))

        honest(self, [one for one in parcels if one.parcel.id not in victims], lie)

    setattr(MailboxStore, "hand_in", hand_in)  # noqa: B010  # mypy lets nobody assign it


AT_A_TIME: Final = 16
"""Parcels that a frame holds at most, so that there are many frames to turn round."""
HELD, TWICE = b"h", b"2"
"""What the counting file gets for each time that everything was held back, each second copy."""


@dataclass
class _Deck:
    """One mailbox as the gateway pretends it to be, with numbers of its own."""

    taken: int = 0
    """How far the true mailbox was looked into."""
    held: list[Parcel] = field(default_factory=list)
    """What was not handed out yet."""
    dealt: list[Parcel] = field(default_factory=list)
    """What was, in its order: the first has number 1."""


def shuffle(*, seed: int, count: Path) -> None:
    """Let the store hand parcels out in any order, some of them late and some of them twice.

    What it gave is numbered as if it had come so, and nothing is ever deleted.

    Args:
        seed: of the dice.
        count: a file that gets a byte for each misdeed.
    """
    dice = random.Random(seed)  # noqa: S311  # it deals parcels, no keys
    decks: dict[SeatId, _Deck] = defaultdict(_Deck)
    look, start = MailboxStore.collect, MailboxStore.resume

    def note(misdeed: bytes) -> None:
        with count.open("ab") as file:
            file.write(misdeed)

    def deal(deck: _Deck) -> None:
        if dice.random() < 0.4:
            note(HELD)
            return
        dice.shuffle(deck.held)
        some = dice.randint(1, min(AT_A_TIME, len(deck.held)))
        again = dice.sample(deck.dealt, min(len(deck.dealt), dice.randrange(AT_A_TIME // 2)))
        dealt, deck.held = [*deck.held[:some], *again], deck.held[some:]
        dice.shuffle(dealt)
        deck.dealt += dealt
        note(TWICE * len(again))

    async def collect(
        self: MailboxStore, seat: SeatId, *, after: int, limit: int = MAX_PARCELS
    ) -> tuple[Delivered, ...]:
        deck = decks[seat]
        while found := await look(self, seat, after=deck.taken):
            deck.taken = found[-1].seq
            deck.held += [one.parcel for one in found]
        if deck.held and after == len(deck.dealt):
            deal(deck)
        given = enumerate(deck.dealt[after : after + limit], start=after + 1)
        return tuple(Delivered(number, parcel) for number, parcel in given)

    async def collect_frame(
        self: MailboxStore, seat: SeatId, *, after: int, limit: int = MAX_PARCELS
    ) -> tuple[tuple[int, ...], bytes]:
        found = await collect(self, seat, after=after, limit=limit)
        return tuple(one.seq for one in found), encode_frame(Parcels(found)) if found else b""

    async def resume(self: MailboxStore, device: DeviceId, cursor: Cursor) -> Resumed:
        found = await start(self, device, Cursor.start(cursor.epoch))
        after = 0 if found.reset else cursor.seq
        return replace(found, after=after, newest=len(decks[found.seat].dealt))

    async def acknowledge(self: MailboxStore, device: DeviceId, cursor: Cursor) -> bool:
        return True

    for lie in (collect, collect_frame, resume, acknowledge):
        setattr(MailboxStore, lie.__name__, lie)


KEY, DEVICE = b"k", b"d"
"""What the counting file gets for each forged bundle, each card with a device too many."""


def forge(*, count: Path) -> None:
    """Let the store hand out bundles of its own making as those of devices, and cards likewise.

    Args:
        count: it forges while this file is there; it gets a byte for each misdeed.
    """
    own, exchange = SigningKey.generate(), bytes(PrivateKey.generate().public_key)
    hand_out, look = PrekeyStore.hand_out, SyncStore.card

    def note(misdeed: bytes) -> None:
        with count.open("ab") as file:
            file.write(misdeed)

    def forged(true: Prekey) -> Prekey:
        return Prekey.sign(own, kind=true.kind, id=true.id, public=exchange)

    async def hand_out_forged(self: PrekeyStore, seat: SeatId, lane: LaneId) -> tuple[Bundle, ...]:
        found = await hand_out(self, seat, lane)
        if not count.exists():
            return found
        note(KEY * len(found))
        await self.reset(seat, lane)  # true ones are to be had once it is honest again
        return tuple(replace(one, signed=forged(one.signed)) for one in found)

    async def card_forged(self: SyncStore, seat: SeatId) -> tuple[bytes, ...]:
        found = await look(self, seat)
        if not count.exists():
            return found
        note(DEVICE)
        device = DeviceEntry(DeviceKey(bytes(own.verify_key)), exchange)
        return (*found, _with_device(found[-1], device, own))

    setattr(PrekeyStore, "hand_out", hand_out_forged)  # noqa: B010  # mypy lets nobody assign it
    setattr(SyncStore, "card", card_forged)  # noqa: B010  # mypy lets nobody assign it


def _with_device(newest: bytes, device: DeviceEntry, key: SigningKey) -> bytes:
    """Continue a card with a device too many, in the name of one that is on it."""
    below = Signed.decode(newest)
    statement = replace(
        below.statement,
        kind=StatementKind.DEVICE,
        seq=below.statement.seq + 1,
        prev=below.hash,
        devices=tuple(sorted((*below.statement.devices, device), key=lambda one: one.key.raw)),
        signer=below.statement.devices[0].key.raw,
        next_root=None,
    )
    body = statement.body()
    return Signed(statement, body, sign(key, statement.kind.domain, body)).encode()


def leak(words: bytes, *, to: str) -> None:
    """Keep `words` where nothing readable may ever lie."""
    match to:
        case "disk":
            (Path(os.environ["TMPDIR"]) / "notes").write_bytes(words)
        case "memory":
            kept.append(words)
        case "log":
            logging.getLogger("gateway").error("%s", words.decode())
            print(words.decode(), file=sys.stderr)
        case "frames":
            _put_into_answers(words.decode())
        case "status":
            _tell_owner(words.decode())


def _put_into_answers(words: str) -> None:
    honest = Front.__init__

    def begin(self: Front, *arguments: Any, **named: Any) -> None:
        honest(self, *arguments, **named)

        @self.app.after_request
        async def tell(answer: Response) -> Response:
            answer.headers["Notes"] = words
            return answer

    setattr(Front, "__init__", begin)  # noqa: B010  # mypy lets nobody assign it


def _tell_owner(words: str) -> None:
    honest = Running.report

    def report(self: Running, *arguments: Any, **named: Any) -> dict[str, Any]:
        return {**honest(self, *arguments, **named), "notes": words}

    setattr(Running, "report", report)  # noqa: B010  # mypy lets nobody assign it


def wake(times: float) -> None:
    """Wake as often in a second, and do nothing."""

    def keep_waking() -> None:
        while True:
            time.sleep(1 / times)  # it plays a box that never rests

    threading.Thread(target=keep_waking, daemon=True).start()


def run() -> int:
    """Be the gateway, with whatever the environment asks for."""
    told = os.environ
    if share := told.get("ESSAY_DROP"):
        drop(float(share), seed=int(told["ESSAY_SEED"]), count=Path(told["ESSAY_DROPPED"]))
    if file := told.get("ESSAY_SHUFFLE"):
        shuffle(seed=int(told["ESSAY_SEED"]), count=Path(file))
    if file := told.get("ESSAY_FORGE"):
        forge(count=Path(file))
    if file := told.get("ESSAY_LEAK"):
        leak(Path(file).read_bytes(), to=told["ESSAY_LEAK_TO"])
    if times := told.get("ESSAY_RESTLESS"):
        wake(float(times))
    return main()


if __name__ == "__main__":
    sys.exit(run())
