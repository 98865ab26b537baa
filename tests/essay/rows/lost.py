"""Rows on phones that are lost: a forgotten word or a phone in a lake dooms nobody."""

import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from peer.app import Peer, open_peer
from peer.errors import GatewayNotThere, NoKeepers, NotYet
from peer.recovery.friends import PRICE
from tests.essay.ledger import row
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, Watched
from wire.recovery import RELEASE_SECONDS


@row(
    "Z8",
    about="whoever forgets the password is doomed",
    shown_by="there is no password; with every device gone two of three friends and the box bring"
    " the person back, with all contacts, three days after they ask",
)
async def forgotten(scene: Scene) -> None:
    box = await scene.gateway(module="demo.leaping")
    anna, friends = await _circle(scene, box)
    person = (await anna.on()).person
    await _destroy(anna)
    began = time.monotonic()
    async with _nobody(anna.home) as peer:
        await _ask(peer, friends[:1])
        scene.ledger.true("one friend is enough", not await _goes_on(peer), "no")
        await _ask(peer, friends[1:2])
        try:
            await peer.asking().go_on(name="Anna")
            scene.ledger.true("the box waits", False, "it did not")
        except NotYet as not_yet:
            waits = not_yet.left > RELEASE_SECONDS - 600
            scene.ledger.true("the box waits", waits, f"{not_yet.left / 3600:.0f} h")
        _leap(box)
        back = await peer.asking().go_on(name="Anna")
        scene.ledger.equal("it is the same person", back.person == person, True)
        scene.ledger.equal("contacts kept", sorted(back.contacts), ["Ben", "Cleo", "Dan"])
    scene.ledger.tell("seconds of work beside the 72 hours", f"{time.monotonic() - began:.1f}")


@row(
    "Z10",
    about="the device is lost or stolen, and they are doomed once again",
    shown_by="with the kit: back with contacts and with what was written meanwhile; the stolen"
    " phone is refused from then on",
)
async def destroyed(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    many = scene.many(100, 5)
    await anna.write("Ben", [f"before {number}" for number in range(many)])
    await ben.texts()
    kit = (await anna.on()).kit.make()
    (await anna.on()).kit.wipe()
    await anna.off()
    stolen = Pocket("the thief", anna.home.with_name("phone-stolen"))
    shutil.copytree(anna.home, stolen.home)
    await _destroy(anna)
    await ben.write("Anna", [f"while away {number}" for number in range(many)])
    began = time.monotonic()
    async with _nobody(anna.home) as peer:
        back = await peer.come_back(kit.code, name="Anna")
        scene.ledger.equal("contacts kept", back.contacts, ("Ben",))
        scene.ledger.tell("seconds until back", f"{time.monotonic() - began:.1f}")
        thief = await stolen.read()
        refused = thief.away is not None and "taken off" in thief.away
        scene.ledger.true("the stolen phone is refused", refused, thief.away or "it was served")
        await stolen.off()
        await peer.read()
        await peer.send("Ben", "It is me.")
        scene.ledger.equal("Ben reads her", (await ben.texts())[-1:], ["It is me."])
        [contact] = (await ben.on()).contacts.all()
        seen = (await ben.on()).contacts.recovered(contact.person)
        scene.ledger.true("he is told that she recovered", seen is not None, "yes")
        texts = [one.text for one in (await peer.read()).letters]
        again = [one for one in texts if one.startswith("while away")]
        scene.ledger.equal("letters to the lost phone that came again", len(again), many)


@row(
    "Z11",
    about="high the chance that this information will get lost as well",
    shown_by="without kit, second device and box, friends have nothing, and that was said before"
    " they were chosen; when a box with the share is there again they bring the person back",
)
async def everything_lost(scene: Scene) -> None:
    box = await scene.gateway(module="demo.leaping")
    anna, friends = await _circle(scene, box)
    said = " ".join(PRICE)
    scene.ledger.true("said before", "without the box" in said, "“… cannot bring you back …”")
    person = (await anna.on()).person
    await _destroy(anna)
    await box.box.stop(signal.SIGKILL)
    async with _nobody(anna.home) as peer:
        await _ask(peer, friends)
        try:
            await peer.asking().go_on(name="Anna")
            scene.ledger.true("all friends without a box", False, "they have the seed")
        except GatewayNotThere as trouble:
            scene.ledger.true("all friends without a box", True, f"nothing: {trouble}")
        await box.start()
        scene.ledger.true("the box is there again", not await _goes_on(peer), "and waits")
        _leap(box)
        back = await peer.asking().go_on(name="Anna")
        scene.ledger.equal("it is the same person", back.person == person, True)
        for one in back.lacking:
            scene.ledger.tell("lost, and said", one)


async def _circle(scene: Scene, box: Watched) -> tuple[Pocket, list[Pocket]]:
    """Return somebody and three friends, two of whom are needed."""
    anna, *friends = (scene.pocket(name) for name in ("Anna", "Ben", "Cleo", "Dan"))
    for one in (anna, *friends):
        await one.pair(box.box)
    for friend in friends:
        await friend.meet(anna)
    peer = await anna.on()
    chosen, need = peer.friends.look_up([one.name for one in friends], 2)
    await peer.friends.choose(chosen, need=need, seed=None)
    await peer.try_outbox()
    for one in (*friends, anna):
        await (await one.on()).read_quietly()
    circle = peer.friends.circle()
    kept = [] if circle is None else [one.confirmed for _, one in circle.keepers]
    scene.ledger.equal("shares that are kept", sum(one is not None for one in kept), 3)
    return anna, friends


async def _ask(peer: Peer, friends: Sequence[Pocket]) -> None:
    """Let friends compare and help."""
    asking = peer.asking()
    for friend in friends:
        progress = asking.begin()
        helps = (await friend.on()).friends
        contact, number = helps.may_help("Anna", progress.code)
        assert number == progress.number
        asking.take(helps.help(contact, progress.code))


async def _goes_on(peer: Peer) -> bool:
    try:
        await peer.asking().go_on(name="Anna")
    except (NoKeepers, NotYet):
        return False
    return True


async def _destroy(pocket: Pocket) -> None:
    await pocket.off()
    shutil.rmtree(pocket.home)


@asynccontextmanager
async def _nobody(home: Path) -> AsyncIterator[Peer]:
    """Give a new phone on which there is nobody."""
    async with open_peer(home, create=True) as peer:
        yield peer


def _leap(box: Watched) -> None:
    """Let three days go by for the box."""
    assert box.box.process is not None
    os.kill(box.box.process.pid, signal.SIGUSR1)
