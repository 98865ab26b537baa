"""The kit holds all that is needed, and the seed goes only after it was seen to read."""

from pathlib import Path

import pytest

from peer.errors import KitGone, MistypedWord
from peer.keys.person import root_key
from peer.keys.words import words_of
from peer.recovery.kit import kit_mark
from tests.peer.household import household
from wire.ids import PersonId


async def test_a_kit_names_the_person_and_where_her_mailbox_was(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        box = await house.box()
        ana = await house.phone("Ana", box)

        kit = ana.peer.kit.make()

        assert PersonId.of_root(bytes(root_key(kit.code.seed).verify_key)) == ana.peer.person
        assert kit.code.person == ana.peer.person
        assert kit.code.gateway == box.gateway.identity.gateway
        assert kit.code.places == (box.place,)
        assert kit.words == words_of(kit.code.seed)
        assert kit.mark == kit_mark(ana.peer.person)


async def test_a_wrong_answer_wipes_and_checks_nothing(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        kit = (await house.phone("Ana")).peer.kit
        words = kit.make().words

        with pytest.raises(MistypedWord, match="word 9") as said:
            kit.answer((5, 9, 12), (words[4], f"{words[8][:4]}zz", words[11]))

        assert said.value.number == 9
        assert kit.checked is None
        kit.answer((5, 9, 12), (words[4], words[8], words[11]))
        assert kit.checked == house.hands.now()
        assert kit.seed_is_here
        kit.wipe()
        assert not kit.seed_is_here
        with pytest.raises(KitGone):
            kit.make()


async def test_status_says_how_the_kit_stands(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        ana = await house.phone("Ana")

        status = await ana.peer.status()

        assert (status["kit_checked"], status["seed_on_phone"]) == (False, True)
