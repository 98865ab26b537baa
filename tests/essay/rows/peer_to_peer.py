"""Rows on phones that stay peers: what it costs them that somebody is always away."""

from tests.essay.ledger import row
from tests.essay.scene import Scene, secret_texts

LETTERS = 40


@row(
    "P1",
    about="the friend I write to is not at home",
    shown_by="letters that arrive although the two phones were never on together: all of them",
)
async def nobody_at_home(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    await ben.off()
    texts, _ = secret_texts(scene.many(LETTERS, 10), of="Anna")
    waiting = await anna.write("Ben", texts)
    await anna.off()
    scene.ledger.equal("letters that wait on Anna’s phone when she goes", waiting, 0)
    await box.box.stop()
    await box.start()
    scene.ledger.tell("overnight", "the gateway was switched off and on, and both phones were off")
    ben.days = 1
    arrived = await ben.texts()
    scene.ledger.true(
        "letters delivered a day later",
        sorted(arrived) == sorted(texts),
        f"{len(set(arrived) & set(texts))} of {len(texts)}, none twice",
    )
    scene.ledger.equal("in the order they were written", arrived == texts, True)
