"""Rows on services that sit in the middle: they can read, alter, withhold, and vanish."""

import hashlib
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from gateway.app import STORE_NAME
from peer.app import Reading
from tests.essay.hostile import HELD, TWICE
from tests.essay.ledger import row
from tests.essay.needles import canary
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, secret_texts

FLIPPED = 100
CHUNK = 20
"""Letters between two looks."""


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
    scene.ledger.equal("parcels in which one bit was turned on the disk", touched, FLIPPED)
    scene.ledger.equal("altered letters shown", len(set(shown) - set(texts)), 0)
    scene.ledger.equal("letters shown as they were written", len(shown), len(texts) - touched)
    codes = sorted({one.code for one in reading.troubles})
    scene.ledger.equal("altered letters reported", len(reading.troubles), touched)
    scene.ledger.tell("reported as", ", ".join(codes))


def _flip_bits(store: Path, scene: Scene, *, many: int) -> int:
    """Turn one bit in the bodies of `many` parcels; return in how many.

    Whoever means it takes the checksum away as well, by which the gateway itself would notice.
    """
    touched = 0
    with sqlite3.connect(store) as database:
        rows = database.execute("SELECT number, body FROM parcel").fetchall()
        for number, body in scene.dice.sample(rows, many):
            bit = scene.dice.randrange(8 * len(body))
            altered = bytearray(body)
            altered[bit // 8] ^= 1 << bit % 8
            touched += database.execute(
                "UPDATE parcel SET body = ?, checksum = NULL WHERE number = ?",
                (bytes(altered), number),
            ).rowcount
    database.close()
    return touched


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
    "C3",
    about="the service decides in which order, and how often, things are handed out",
    shown_by="the same letters through an honest gateway and through one that shuffles, withholds "
    "and repeats: both phones tell them in the order in which they were written, each once",
)
async def out_of_order(scene: Scene) -> None:
    count = scene.theatre.folder / "misdeeds"
    count.touch()
    honest = await scene.gateway("the honest box")
    hostile = await scene.gateway(
        "the hostile box",
        module="tests.essay.hostile",
        environment={"ESSAY_SHUFFLE": str(count), "ESSAY_SEED": str(scene.seed)},
    )
    anna, ben = await scene.household("Anna", "Ben", gateway=honest)
    cara = scene.pocket("Cara")
    await cara.pair(hostile.box)
    await anna.meet(cara)
    texts, _ = secret_texts(scene.many(500, 120), of="Anna")
    shown = {phone.name: _Shown() for phone in (ben, cara)}
    for start in range(0, len(texts), CHUNK):
        for phone in (ben, cara):
            await anna.write(phone.name, texts[start : start + CHUNK])
            shown[phone.name].take(await phone.read(), texts)
    rounds = 0
    while len(shown["Cara"].texts) < len(texts) and rounds < 100:
        rounds += 1
        await anna.read()  # Cara may have asked for what is withheld
        shown["Cara"].take(await cara.read(), texts)

    turned = _turned([text for _, text in sorted(shown["Cara"].by_arrival)], texts)
    deeds = count.read_bytes()
    for what, seen in (
        ("letters that came to Cara after a later one", turned),
        ("times that the hostile gateway withheld all it had", deeds.count(HELD)),
        ("parcels that it handed out twice", deeds.count(TWICE)),
    ):
        scene.ledger.true(what, seen > 0, seen)
    scene.ledger.tell("looks of Cara after the last letter until all were there", rounds)
    streams = {phone.name: await phone.stream("Anna") for phone in (ben, cara)}
    for name, stream in streams.items():
        scene.ledger.equal(f"letters that {name}’s phone tells", len(stream), len(texts))
        scene.ledger.equal(f"{name}: shown twice", shown[name].twice, 0)
        scene.ledger.equal(f"{name}: looks that showed letters turned round", shown[name].turned, 0)
        told = f"{shown[name].said_late} of {shown[name].late}"
        scene.ledger.equal(
            f"{name}: said to be late, of those shown after a later one",
            told,
            f"{shown[name].late} of {shown[name].late}",
        )
    digests = {name: _digest(stream) for name, stream in streams.items()}
    scene.ledger.equal("Cara’s stream, hashed", digests["Cara"], digests["Ben"])
    scene.ledger.equal("and as it was written", digests["Ben"], _digest(texts))
    scene.ledger.tell(
        "several devices", "one for each person today, so two persons were compared, not two phones"
    )


@dataclass
class _Shown:
    """What one phone showed, look by look."""

    texts: set[str] = field(default_factory=set)
    by_arrival: list[tuple[int, str]] = field(default_factory=list)
    twice: int = 0
    turned: int = 0
    late: int = 0
    said_late: int = 0
    _newest: int = -1

    def take(self, reading: Reading, written: list[str]) -> None:
        """Take note of what a look brought."""
        letters = [one for one in reading.letters if one.text in written]
        texts = [one.text for one in letters]
        self.twice += len(texts) - len(set(texts) - self.texts)
        self.texts |= set(texts)
        self.by_arrival += [(one.number, one.text) for one in letters]
        places = [written.index(text) for text in texts]
        self.turned += places != sorted(places)
        late = [place < self._newest for place in places]
        self.late += sum(late)
        self.said_late += sum(one.late and is_ for one, is_ in zip(letters, late, strict=True))
        self._newest = max([self._newest, *places])


def _turned(arrived: list[str], written: list[str]) -> int:
    """Return how many letters arrived after one that was written later."""
    newest, count = -1, 0
    for place in map(written.index, arrived):
        count += place < newest
        newest = max(newest, place)
    return count


def _digest(texts: list[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()


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
