"""Rows on those who have power over a gateway: they lock people out, and make it lie."""

import time
from typing import Final

from tests.essay.ledger import row
from tests.essay.phones import Pocket
from tests.essay.scene import Scene

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
        await anna.meet(friend)
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
