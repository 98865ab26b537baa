"""Rows on those who have power over a gateway: they lock people out, and make it lie."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.app import STORE_NAME
from tests.essay.hostile import DEVICE, KEY
from tests.essay.ledger import row
from tests.essay.phones import Pocket
from tests.essay.rows.adding import add_by_command
from tests.essay.scene import Scene, Watched
from wire.parcel import HEADER_BYTES

LOOKS: Final = 12


@row(
    "C9",
    about="accounts are locked, and nobody says why",
    shown_by="the owner of the gateway removes her seat in the middle of the day: she writes again "
    "through another one, as the same person; minutes until then; contacts lost 0, letters lost 0",
)
async def locked_out(scene: Scene) -> None:
    box, other = await scene.gateway(), await scene.gateway("the neighbours’ box")
    anna = scene.pocket("Anna")
    await anna.pair(box.box)
    [seat] = (await box.box.command("seats", "list"))["seats"]
    friends = [scene.pocket(name) for name in ("Ben", "Cleo", "Dan", "Emil")[: scene.many(4, 3)]]
    for place, friend in enumerate(friends):
        await friend.pair((other if place == 1 else box).box)
        await friend.meet(anna)  # a seat shows three codes at a time at most
    person = (await anna.on()).person
    for friend in friends:
        await friend.write("Anna", ["in the morning"])
        await anna.write(friend.name, ["in the morning"])
    await _all_read([anna, *friends])
    waiting = [f"on its way, {number}" for number in range(scene.many(20, 5))]
    await friends[0].write("Anna", waiting)

    removed = await box.box.command("seats", "remove", seat["seat"], "--yes")
    scene.ledger.equal("seats removed by the owner", removed["removed"], seat["seat"])
    refused = (await anna.read()).away
    scene.ledger.true("the gateway serves her no more", refused is not None, refused or "it does")

    began = time.monotonic()
    await anna.pair(other.box)
    peer = await anna.on()
    scene.ledger.equal("the same person", peer.person, person)
    names = sorted(one.name for one in peer.contacts.all())
    kept = sorted(one.name for one in friends)
    scene.ledger.equal("contacts lost", len(set(kept) - set(names)), 0)
    left = [await anna.write(one.name, ["through the neighbours’ box"]) for one in friends]
    scene.ledger.equal("letters that she could not send", max(left), 0)
    for friend in friends:
        text = "through the neighbours’ box"
        scene.ledger.equal(f"{friend.name} reads her", (await friend.texts())[-1:], [text])
    minutes = (time.monotonic() - began) / 60
    scene.ledger.tell("minutes from the lock until all had read her again", f"{minutes:.2f}")
    for friend in friends:
        scene.ledger.equal(f"{friend.name}’s answer waits", await friend.write("Anna", ["yes"]), 0)
    answers = await anna.texts()
    scene.ledger.equal("answers that she reads", answers.count("yes"), len(friends))
    came = set(answers)
    rounds = 0
    while not came >= set(waiting) and rounds < LOOKS:
        rounds += 1
        for phone in (friends[0], anna):
            phone.days += 0.05
        await friends[0].texts()
        await friends[0].write("Anna", [f"are they there, {rounds}?"])
        came |= set(await anna.texts())
        await friends[0].texts()
        came |= set(await anna.texts())
    lost = len(set(waiting) - came)
    scene.ledger.equal("letters lost that waited where she was locked out", lost, 0)
    scene.ledger.tell("rounds of asking for them, one an hour", rounds)
    known = [[one.person for one in (await friend.on()).contacts.all()] for friend in friends]
    same = sum(one == [person] for one in known)
    scene.ledger.equal("contacts who have her as before, and nobody else", same, len(friends))


async def _all_read(phones: list[Pocket]) -> None:
    for phone in phones:
        await phone.texts()


@row(
    "C11",
    about="whoever runs the service can be forced to hand over or to change what is in it",
    shown_by="the gateway puts in letters, a key of a contact and a device on her card, all of its "
    "own making: letters shown 0, each reported; letters sealed to its keys 0, and it is said why",
)
async def forged(scene: Scene) -> None:
    deeds = scene.theatre.folder / "deeds"
    box = await scene.gateway(
        "the forging box",
        module="tests.essay.hostile",
        environment={"ESSAY_FORGE": str(deeds)},
    )
    anna, ben, owner = await scene.household("Anna", "Ben", "the owner", gateway=box)
    await owner.meet(ben)
    await _all_read([anna, ben, owner])
    await _letters(scene, box, anna, ben, owner)
    await _keys(scene, anna, ben, deeds=deeds)


async def _letters(scene: Scene, box: Watched, anna: Pocket, ben: Pocket, owner: Pocket) -> None:
    """Let the owner of the gateway, whom Ben knows, write to him in Anna's name."""
    many = scene.many(20, 4)
    await anna.write("Ben", ["It is really me."])
    await owner.write("Ben", ["It is me, Anna."] * many)
    await box.box.stop()
    with closing(sqlite3.connect(box.box.data / STORE_NAME)) as store, store:
        rows = store.execute("SELECT number, lane, body FROM parcel ORDER BY number").fetchall()
        (_, lane, body), *others = rows
        for place, (number, own_lane, own) in enumerate(others):
            # Sealed well, but by another; a copy of a true one; dice; a true one with its end cut.
            put = (own, body, _dice(scene, len(own)), body[:-16] + bytes(16))[place % 4]
            store.execute(
                "UPDATE parcel SET lane = ?, body = ?, checksum = NULL WHERE number = ?",
                (lane, put, number),
            )
            # Its own books have to be right, or it stops itself.
            for one, more in (
                (lane, len(put) + HEADER_BYTES),
                (own_lane, -len(own) - HEADER_BYTES),
            ):
                store.execute(
                    "UPDATE lane SET used_bytes = used_bytes + ? WHERE lane = ?", (more, one)
                )
    await box.start()
    reading = await ben.read()
    texts = [one.text for one in reading.letters]
    scene.ledger.equal("forged letters that the gateway put in", len(others), many)
    scene.ledger.equal("letters that Ben is shown", texts, ["It is really me."])
    named = [one.contact for one in reading.troubles].count("Anna")
    scene.ledger.equal("forged letters reported, as what came in Anna’s name", named, many)
    scene.ledger.tell("reported as", ", ".join(sorted({one.code for one in reading.troubles})))


async def _keys(scene: Scene, anna: Pocket, ben: Pocket, *, deeds: Path) -> None:
    """Let the gateway hand out keys of its own, and a card with a device of its own."""
    tablet = scene.pocket("Tablet")
    await add_by_command(scene, anna, tablet)
    await anna.write("Ben", ["I have a tablet now."])
    scene.ledger.equal("Ben hears of it", await ben.texts(), ["I have a tablet now."])

    deeds.touch()
    peer = await ben.on()
    state = await peer.send("Anna", "for your devices alone")
    done = deeds.read_bytes()
    scene.ledger.true("prekeys handed out as Anna’s that are not", KEY in done, done.count(KEY))
    scene.ledger.true("cards with a device too many", DEVICE in done, done.count(DEVICE))
    scene.ledger.true("a letter for her waits, and it is said why", state.waiting, state.text)
    scene.ledger.equal("which is that the keys are forged", state.trouble, "not-signed")
    cards = [peer.contacts.named("Anna").card, (await anna.on()).me.card]
    for name, phone in (("phone", anna), ("tablet", tablet)):
        scene.ledger.equal(f"letters that reached her {name}", await phone.texts(), [])
    cards += [(await phone.on()).me.card for phone in (anna, tablet)]
    scene.ledger.equal(
        "devices on her card, on each phone", {len(one.devices) for one in cards}, {2}
    )

    deeds.unlink()
    for phone in (anna, tablet, ben):
        phone.days += 0.1
    scene.ledger.equal("with true keys again it goes out; waiting", await peer.try_outbox(), 0)
    for name, phone in (("phone", anna), ("tablet", tablet)):
        texts = (await phone.texts())[-1:]
        scene.ledger.equal(f"her {name} has it", texts, ["for your devices alone"])


def _dice(scene: Scene, size: int) -> bytes:
    return b"\x01" + scene.dice.randbytes(size - 1)
