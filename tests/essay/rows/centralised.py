"""Rows on services that sit in the middle: they can read, alter, withhold, and vanish."""

import shutil
import signal
import sqlite3
import time
from pathlib import Path

from gateway.app import STORE_NAME
from tests.essay.ledger import row
from tests.essay.needles import canary
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, secret_texts

FLIPPED = 100


@row(
    "C1",
    about="whoever runs the service can read letters and change them",
    shown_by="marked words found on the gateway’s disk, in its memory, log and frames: 0; "
    "altered letters that a phone shows: 0 of 100, and it reports each of them",
)
async def read_and_alter(scene: Scene) -> None:
    box = await scene.gateway()
    names = {name: canary() for name in ("Anna", "Ben")}
    anna, ben = await scene.household(*(f"{name} {names[name]}" for name in names), gateway=box)
    texts, secrets = secret_texts(scene.many(1000, 150), of="Anna")
    scene.ledger.equal(
        "letters that did not get to the gateway", await anna.write(ben.name, texts), 0
    )
    secrets |= {f"the name of {name}": word.encode() for name, word in names.items()}
    secrets |= anna.secrets() | ben.secrets()
    scene.report(box.observer.search(secrets))

    await box.box.stop()
    touched = _flip_bits(box.box.data / STORE_NAME, scene, many=FLIPPED)
    await box.start()
    reading = await ben.read()
    shown = [one.text for one in reading.letters]
    scene.ledger.tell("parcels in which one bit was turned on the disk", touched)
    scene.ledger.equal("altered letters shown", len(set(shown) - set(texts)), 0)
    scene.ledger.equal("letters shown as they were written", len(shown), len(texts) - touched)
    codes = sorted({one.code for one in reading.troubles})
    scene.ledger.equal("altered letters reported", len(reading.troubles), touched)
    scene.ledger.tell("reported as", ", ".join(codes))


def _flip_bits(store: Path, scene: Scene, *, many: int) -> int:
    """Turn one bit in the bodies of `many` parcels; return in how many."""
    with sqlite3.connect(store) as database:
        rows = database.execute("SELECT number, body FROM parcel").fetchall()
        for number, body in scene.dice.sample(rows, many):
            bit = scene.dice.randrange(8 * len(body))
            altered = bytearray(body)
            altered[bit // 8] ^= 1 << bit % 8
            database.execute(
                "UPDATE parcel SET body = ? WHERE number = ?", (bytes(altered), number)
            )
    database.close()
    return many


@row(
    "C2",
    about="nobody can watch what the service does, and whether it leaves something out",
    shown_by="letters that a malicious gateway threw away and the recipient knows to be missing "
    "once one later letter has come: all; letters that are there in the end: all",
)
async def leave_out(scene: Scene) -> None:
    count = scene.theatre.folder / "dropped"
    count.touch()
    box = await scene.gateway(
        "the malicious box",
        module="tests.essay.hostile",
        environment={
            "ESSAY_DROP": "0.05",
            "ESSAY_SEED": str(scene.seed),
            "ESSAY_DROPPED": str(count),
        },
    )
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    texts, _ = secret_texts(scene.many(500, 100), of="Anna")
    arrived: set[str] = set()
    unnoticed = newest = known = 0
    for place, text in enumerate(texts):
        await anna.write("Ben", [text])
        reading = await ben.read()
        if reading.letters:
            arrived |= {one.text for one in reading.letters}
            newest = place + 1
        known = sum(one.count for one in reading.missing)
        unnoticed += known != newest - len(arrived)
    lost = len(texts) - len(arrived)
    scene.ledger.true("letters thrown away", lost > 0, f"{lost} of {len(texts)}")
    before = newest - len(arrived)
    noticed = f"{known} of {before}"
    scene.ledger.equal(
        "of those before the last that came, noticed", noticed, f"{before} of {before}"
    )
    scene.ledger.equal(
        "moments at which the recipient did not know which were missing", unnoticed, 0
    )
    rounds = await _ask_until_all_is_there(anna, ben, arrived, wanted=set(texts))
    scene.ledger.equal("letters there in the end", len(arrived & set(texts)), len(texts))
    scene.ledger.tell("rounds of asking, one an hour, through the same gateway", rounds)
    scene.ledger.tell("parcels it threw away in all", count.stat().st_size)


async def _ask_until_all_is_there(
    anna: Pocket, ben: Pocket, arrived: set[str], *, wanted: set[str], at_most: int = 12
) -> int:
    """Let both phones look into their mailboxes, an hour and a bit apart; return how often."""
    for turn in range(at_most):
        if wanted <= arrived:
            return turn
        for phone in (anna, ben):
            phone.days += 0.05
        # Something has to follow what was thrown away last, or nobody can know of it.
        await anna.write("Ben", [f"how are you, {turn}?"])
        arrived |= set(await ben.texts())
        await anna.texts()
        arrived |= set(await ben.texts())
    return at_most


@row(
    "C13",
    about="when the service ends, everything on it is gone",
    shown_by="with the gateway’s disk wiped and no backup: letters missing on any phone once both "
    "have paired with what stands there now: 0; minutes that took",
)
async def wiped(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    early, _ = secret_texts(10, of="Anna, in time")
    await anna.write("Ben", early)
    await ben.texts()
    late, _ = secret_texts(scene.many(40, 20), of="Anna, too late")
    scene.ledger.equal("letters that wait on the gateway", await anna.write("Ben", late), 0)

    await box.box.stop(signal.SIGKILL)
    shutil.rmtree(box.box.data)
    began = time.monotonic()
    await box.start()
    scene.ledger.tell("the gateway’s data", "deleted, without a backup; it has new keys now")
    for phone in (anna, ben):
        await phone.pair(box.box)
    arrived: set[str] = set()
    rounds = await _ask_until_all_is_there(anna, ben, arrived, wanted=set(late))
    minutes = (time.monotonic() - began) / 60
    scene.ledger.equal("of them, there in the end", len(arrived & set(late)), len(late))
    for phone in (anna, ben):
        kept = await (await phone.on()).read(everything=True)
        texts = [one.text for one in kept.letters]
        whole = set(texts) >= {*early, *late} and len(texts) == len(set(texts))
        scene.ledger.true(f"letters kept on {phone.name}’s phone, none twice", whole, len(texts))
    scene.ledger.tell("rounds of asking", rounds)
    scene.ledger.tell("minutes from the wiped disk to the last letter", f"{minutes:.2f}")
