"""Rows on many servers that know each other: what the others hear, and what one break-in costs."""

import os
import signal
import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path

from gateway.app import STORE_NAME
from gateway.identity import load_identity
from tests.essay.ledger import row
from tests.essay.memory import core_limit, swapped
from tests.essay.needles import Needles, canary
from tests.essay.owner import Owner, operations
from tests.essay.rows.zero_knowledge import THREAT_MODEL, documented, stored_ids
from tests.essay.scene import Scene, Watched, secret_texts

NAMES = ("Anna", "Ben", "Carol", "Dora", "Emil")


@row(
    "F1",
    about="I know who runs the box, and he knows me",
    shown_by="a household of five, one of whom owns the box and asks all that its tools answer: "
    "fields that are not in the leak table 0, marked words, keys and ids of others 0",
)
async def known_owner(scene: Scene) -> None:
    box = await scene.gateway()
    names = {name: canary() for name in NAMES}
    owner, *others = phones = [scene.pocket(f"{name} {word}") for name, word in names.items()]
    for phone in phones:
        await phone.pair(box.box)
    for other in others:
        await other.meet(owner)
    secrets = {f"the name of {name}": word.encode() for name, word in names.items()}
    waiting = 0
    for other in others:
        for writer, reader in ((owner, other), (other, owner)):
            texts, more = secret_texts(5, of=f"{writer.name} to {reader.name}")
            waiting += await writer.write(reader.name, texts)
            secrets |= more
    scene.ledger.equal("letters that did not get to the gateway", waiting, 0)
    await others[0].texts()  # some collect, some do not: the owner may see how much waits
    for phone in phones:
        secrets |= phone.secrets()

    tools = Owner(box.box)
    await tools.ask_everything()
    scene.ledger.tell("who asks", "root" if os.geteuid() == 0 else f"user {os.geteuid()}")
    scene.ledger.equal("operations asked", sorted(tools.asked), sorted(operations()))
    listed = documented(THREAT_MODEL.read_text(encoding="utf-8"), "shown")
    scene.ledger.tell("fields shown", len(tools.fields))
    scene.ledger.equal("of them not in the leak table", sorted(tools.fields - listed), [])
    scene.ledger.equal("in the leak table and not shown", sorted(listed - tools.fields), [])
    said = "\n".join(tools.said).encode()
    scene.ledger.true("bytes that the tools said", len(said) > 0, len(said))
    ids = stored_ids(box.box.data / STORE_NAME)
    hidden = {name: id for name, id in ids.items() if not name.startswith("seat")}
    scene.ledger.true(
        "ids of devices, lanes and parcels in the store", len(hidden) > 0, len(hidden)
    )
    for what, needles in (("secrets", secrets), ("those ids", hidden)):
        hits = Needles(needles).find_packed(said, where="what the tools said")
        scene.ledger.equal(f"{what} in what the tools said", sorted(map(str, hits)), [])
    scene.report(box.observer.search(secrets))


@row(
    "F9",
    about="a letter should pass only by those it concerns",
    shown_by="five gateways, a letter from Anna to Ben: bytes at the three others: 0",
)
async def only_whom_it_concerns(scene: Scene) -> None:
    boxes = [await scene.gateway(f"{name}’s box") for name in NAMES]
    phones = [scene.pocket(name) for name in NAMES]
    for phone, box in zip(phones, boxes, strict=True):
        await phone.pair(box.box)
    anna, ben, *others = phones
    for other in (ben, *others):
        await other.meet(anna)
    for phone in phones:  # whatever meeting people left to be said is said by now
        await phone.read()
        await phone.read()
    texts, secrets = secret_texts(10, of="Anna")
    before = [box.tap.bytes for box in boxes]
    files = [_rows_in(box) for box in boxes]
    await anna.write("Ben", texts)
    arrived = await ben.texts()
    scene.ledger.equal("letters that Ben has", len(set(arrived) & set(texts)), len(texts))
    for name, box, bytes_before, rows in zip(NAMES, boxes, before, files, strict=True):
        passed = box.tap.bytes - bytes_before
        if name == "Anna":  # her phone hands letters to Ben's gateway itself
            scene.ledger.tell("bytes at Anna’s gateway", passed)
            continue
        if name == "Ben":
            scene.ledger.true("bytes at Ben’s gateway", passed > 0, passed)
            continue
        scene.ledger.equal(f"bytes at {name}’s gateway", passed, 0)
        scene.ledger.equal(f"rows more in {name}’s gateway’s store", _rows_in(box) - rows, 0)
        hits = len(box.observer.search(secrets).hits)
        scene.ledger.equal(f"words of the letters anywhere in {name}’s gateway", hits, 0)


def _rows_in(box: Watched) -> int:
    """Return how many rows lie in all tables of a gateway, but for its clock."""
    with closing(sqlite3.connect(box.box.data / STORE_NAME)) as store:
        tables = store.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
        return sum(
            store.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608  # its own
            for (name,) in tables
        )


@row(
    "F10",
    about="the server of one of us is broken into",
    shown_by="everything of Carol’s gateway is taken: letters for others: 0; Carol’s: sealed",
)
async def broken_into(scene: Scene) -> None:
    box, other = await scene.gateway("Carol’s box"), await scene.gateway("the others’ box")
    anna, ben = await scene.household("Anna", "Ben", gateway=other)
    carol = scene.pocket("Carol")
    await carol.pair(box.box)
    await anna.meet(carol)
    await ben.meet(carol)
    number = scene.many(100, 30)
    to_carol, secrets = secret_texts(number, of="Anna to Carol")
    to_ben, more = secret_texts(number, of="Anna to Ben")
    for name, texts in (("Carol", to_carol), ("Ben", to_ben)):
        scene.ledger.equal(f"letters to {name} under way", await anna.write(name, texts), 0)

    parcels = _parcels(box.box.data / STORE_NAME)
    lanes = carol.lanes_at(load_identity(box.box.data, fresh=False).gateway)
    scene.ledger.equal("parcels in the taken store", len(parcels), number)
    strange = sum(lane not in lanes for lane, _ in parcels)
    scene.ledger.equal("of them, for somebody else than Carol", strange, 0)
    search = box.observer.search(secrets | more | carol.secrets() | anna.secrets())
    scene.report(search)
    bodies = b"".join(body for _, body in parcels)
    share = len(zlib.compress(bodies, 9)) / len(bodies)
    scene.ledger.true(
        "Carol’s letters, packed, keep of their size (sealed bytes cannot be packed)",
        share >= 0.999,
        f"{share:.1%}",
    )
    scene.ledger.true(*_evenness(bodies))
    arrived = set(await carol.texts())
    scene.ledger.equal("and Carol still gets them", len(arrived & set(to_carol)), number)


def _parcels(store: Path) -> list[tuple[bytes, bytes]]:
    with closing(sqlite3.connect(store)) as database:
        return database.execute("SELECT lane, body FROM parcel").fetchall()


def _evenness(data: bytes) -> tuple[str, bool, str]:
    """Return whether all byte values are equally frequent, as a measure."""
    expected = len(data) / 256
    counts = Counter(data)
    chi = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    # 255 degrees of freedom: random bytes stay below 380 but for once in a million.
    return "frequency of their byte values (chi squared, random below 380)", chi < 380, f"{chi:.0f}"


@row(
    "F12",
    about="what lies on servers is plain text as a rule",
    shown_by="marked words in write-ahead log, temporary files, swap, core file, push: 0",
)
async def plain_text(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    collected, secrets = secret_texts(20, of="Anna, collected")
    await anna.write("Ben", collected)
    live = await ben.watched()
    scene.ledger.equal("letters that came over a WebSocket", len(set(live)), len(collected))
    waiting, more = secret_texts(20, of="Anna, waiting")
    await anna.write("Ben", waiting)
    files = [name for name, _ in box.observer.files()]
    scene.ledger.tell("files searched", ", ".join(files))
    scene.ledger.true("the write-ahead log is among them", f"{STORE_NAME}-wal" in files, len(files))
    scene.report(box.observer.search(secrets | more | anna.secrets() | ben.secrets()))
    scene.ledger.tell("in swap", f"{swapped(box.observer.pid)}, searched with the memory")
    scene.ledger.equal("how large a core file may grow", core_limit(box.observer.pid), "0 0")
    folders = (Path.cwd(), box.box.data)
    before = {path for folder in folders for path in folder.glob("core*")}
    await box.box.stop(signal.SIGABRT)
    left = {path for folder in folders for path in folder.glob("core*")} - before
    scene.ledger.equal("core files after it was made to crash", len(left), 0)
    scene.ledger.tell("push payloads", "none: nothing pushes yet")
