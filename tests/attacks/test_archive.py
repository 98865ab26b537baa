"""A gateway, a thief of its store and a stranger try an archive: nothing of theirs is taken for it.

The ids are those of docs/threat-model.md §4.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from peer.devices.archive import Archive
from peer.items.kinds import Letter
from peer.keys.errors import KeysError, WriterUnknown
from peer.keys.person import Device, Identity, PersonKey
from peer.keys.primitives import system_random
from peer.keys.segments import open_segment, seal_segment
from peer.keys.signed_items import SignedItem, write_item
from peer.people.contacts import Contact
from peer.ways.furnishing import at_home
from tests.peer.devices.family import all_texts, another, learn_contacts, me, store_of
from tests.peer.household import Box, Household, Phone, befriend, household, texts
from wire.archive import Segment, SignedHead
from wire.errors import WireError
from wire.ids import PersonId

NOW = 1_800_000_000.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    """Give a household."""
    async with household(tmp_path) as house:
        yield house


async def with_archive(house: Household) -> tuple[Box, Phone]:
    """Return a box, and Ana's phone with four letters in four segments."""
    box = await house.box()
    ana, ben = await house.phone("Ana", box), await house.phone("Ben", box)
    await befriend(ana, ben)
    for text in ("one", "two", "three", "four"):
        house.hands.live(60)
        await ana.peer.send("Ben", text)
        await texts(ana)
    return box, ana


async def meddle(box: Box, sql: str, *parameters: object) -> None:
    """Change the gateway's store as its owner may."""
    await box.gateway.database.write(lambda store: store.execute(sql, parameters).rowcount)


async def what_a_new_device_gets(
    house: Household, box: Box, ana: Phone
) -> tuple[list[str], list[tuple[int, str]]]:
    """Return the texts, and the segments that were refused and why."""
    tablet = await another(house, box, ana)
    learn_contacts(tablet, ana)
    async for _ in tablet.peer.restore_archive():
        pass
    refused = tablet.peer.archive_status()["refused"]
    return await all_texts(tablet), [(one["segment"], one["why"]) for one in refused]


async def test_g5_a_segment_in_anothers_place_is_refused_and_named(house: Household) -> None:
    """G5: the bodies of two are swapped."""
    box, ana = await with_archive(house)
    rows = await box.gateway.database.write(
        lambda store: store.execute("SELECT seq, body FROM segment ORDER BY seq").fetchall()
    )
    await meddle(box, "UPDATE segment SET body = ? WHERE seq = 2", rows[2][1])
    await meddle(box, "UPDATE segment SET body = ? WHERE seq = 3", rows[1][1])

    assert await what_a_new_device_gets(house, box, ana) == (
        ["one", "four"],
        [(2, "not-signed"), (3, "not-signed")],
    )


async def test_g5_one_that_was_cut_or_left_out_is_refused_and_named(house: Household) -> None:
    """G5: one is cut short, and one is not there."""
    box, ana = await with_archive(house)
    await meddle(box, "UPDATE segment SET body = substr(body, 1, 100) WHERE seq = 3")
    await meddle(box, "DELETE FROM segment WHERE seq = 1")

    assert await what_a_new_device_gets(house, box, ana) == (
        ["two", "four"],
        [(1, "missing"), (3, "not-signed")],
    )


async def test_g5_one_of_another_history_of_the_same_person_is_refused(house: Household) -> None:
    """G5: another segment, honestly signed, stands in the place of the one that counts."""
    box, ana = await with_archive(house)
    row = await box.gateway.database.write(
        lambda store: store.execute("SELECT head FROM segment WHERE seq = 2").fetchone()
    )
    before = SignedHead.decode(row[0]).head
    other = seal_segment(b"\xa3\x00\x01\x01\x80\x02\x80", identity=me(ana).identity, on=before)
    await meddle(
        box,
        "UPDATE segment SET head = ?, body = ? WHERE seq = 3",
        other.signed.encode(),
        other.body,
    )

    assert await what_a_new_device_gets(house, box, ana) == (
        ["one", "two", "four"],
        [(3, "swapped")],
    )


async def test_g7_a_turned_bit_anywhere_is_noticed(house: Household) -> None:
    """G7: every byte of a segment is signed or sealed, and most are both."""
    _box, ana = await with_archive(house)
    identity = me(ana).identity
    segment = seal_segment(b"content", identity=identity, on=None)
    raw, keys = segment.encode(), (identity.person_key,)
    for at in range(len(raw)):
        turned = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises((WireError, KeysError)):
            open_segment(Segment.decode(turned), keys)


async def test_g7_a_body_is_good_under_its_seal_alone() -> None:
    """G7: whoever could sign a head and lacks the person key changes no byte of the body."""
    me = Identity(PersonId(b"p" * 32), Device.generate(system_random), PersonKey(1, b"s" * 32))
    segment = seal_segment(b"content", identity=me, on=None)
    for at in range(0, len(segment.body), 7):
        body = segment.body[:at] + bytes([segment.body[at] ^ 1]) + segment.body[at + 1 :]
        other = seal_segment(b"x", identity=me, on=None)
        with pytest.raises(KeysError):
            open_segment(replace(other, body=body), (me.person_key,))


async def test_g7_who_has_the_person_key_and_no_place_on_the_card_writes_nothing(
    house: Household,
) -> None:
    """G7, G5: a head of a device that no card of the person lists is worth nothing."""
    _box, ana = await with_archive(house)
    identity = me(ana).identity
    stranger = replace(identity, device=Device.generate(system_random))
    archive = Archive(store_of(ana), me(ana), now=house.hands.now)
    empty = b"\xa3\x00\x01\x01\x80\x02\x80"

    assert archive._open(seal_segment(empty, identity=identity, on=None)).letters == ()
    with pytest.raises(WriterUnknown):
        archive._open(seal_segment(empty, identity=stranger, on=None))


async def test_g3_a_letter_of_somebody_elses_choice_changes_no_length(house: Household) -> None:
    """G3: what repeats a secret beside it is as long as what does not."""
    _box, ana = await with_archive(house)
    identity = me(ana).identity
    secret = system_random(2000)
    lengths = {
        len(seal_segment(secret + guess, identity=identity, on=None).body)
        for guess in (secret, bytes(2000), system_random(2000))
    }

    assert len(lengths) == 1


async def test_l11_two_copies_of_one_phone_lose_nothing_and_share_no_key_stream(
    house: Household,
) -> None:
    """L10, L11: a phone's folder is copied, and both write and add to the archive."""
    box, ana = await with_archive(house)
    copy = Phone("Ana", house.folder / "copy", house.hands)
    shutil.copytree(ana.home, copy.home)
    await copy.open()
    house.hands.live(60)
    with store_of(ana).transaction(), store_of(copy).transaction():
        for phone in (ana, copy):
            contact = phone.peer.contacts.named("Ben")
            item = write_item(Letter(phone.home.name), identity=me(phone).identity, now=NOW)
            keep(phone, item, contact)
    for phone in (ana, copy, ana):
        archive = Archive(store_of(phone), me(phone), now=house.hands.now)
        async with at_home(store_of(phone), me(phone), now=house.hands.now()) as gateway:
            await archive.keep(gateway)
    bodies = await box.gateway.database.write(
        lambda store: store.execute("SELECT body FROM segment").fetchall()
    )

    assert len({body[:24] for (body,) in bodies}) == len(bodies) == 6
    assert copy.peer.archive_status()["waiting"] == ana.peer.archive_status()["waiting"] == 0
    await copy.close()


def keep(phone: Phone, item: SignedItem, contact: Contact) -> None:
    """Keep a letter that was sent."""
    db = store_of(phone).db
    db.execute("INSERT INTO item VALUES (?, ?)", (item.id.raw, item.raw))
    db.execute(
        "INSERT INTO letter (item, person, outgoing, written, came, shown)"
        " VALUES (?, ?, 1, ?, ?, 1)",
        (item.id.raw, contact.person.raw, NOW, NOW),
    )
