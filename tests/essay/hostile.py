"""A gateway that means ill: the real one, started as ever, with a store that does what it is told.

The environment says what: ESSAY_DROP a share of parcels that are answered as stored and thrown
away, ESSAY_LEAK a file whose words it keeps where ESSAY_LEAK_TO says (disk, memory, log, frames).
"""

import logging
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quart import Response

from gateway.cli import main
from gateway.front import Front
from gateway.mailbox.store import Deposited, MailboxStore
from wire.frames import Outcome, Proved, Result

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


def _put_into_answers(words: str) -> None:
    honest = Front.__init__

    def begin(self: Front, *arguments: Any, **named: Any) -> None:
        honest(self, *arguments, **named)

        @self.app.after_request
        async def tell(answer: Response) -> Response:
            answer.headers["Notes"] = words
            return answer

    setattr(Front, "__init__", begin)  # noqa: B010  # mypy lets nobody assign it


def run() -> int:
    """Be the gateway, with whatever the environment asks for."""
    told = os.environ
    if share := told.get("ESSAY_DROP"):
        drop(float(share), seed=int(told["ESSAY_SEED"]), count=Path(told["ESSAY_DROPPED"]))
    if file := told.get("ESSAY_LEAK"):
        leak(Path(file).read_bytes(), to=told["ESSAY_LEAK_TO"])
    return main()


if __name__ == "__main__":
    sys.exit(run())
