"""What a gateway leaves behind: in its log, in its folder, in others' folders."""

import base64
import os
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from peer.items.kinds import File, Letter
from tests.essay.ledger import Ledger
from tests.essay.needles import canary
from tests.essay.scene import scene
from tests.faults.adapter import Box, letters, open_box, pair
from tests.faults.conftest import Amount
from tests.faults.connection import NoAnswer, Refused
from tests.faults.here import patience, times
from tests.gateway.phones import asks
from tests.gateway.sync.people import Person, Phone
from wire.lanes import Lane
from wire.parcel import MAX_BODY

ADDRESS = "127.0.0.77"
"""From where a phone comes whose address must not be written down."""
pytestmark = pytest.mark.timeout(patience())

WITHOUT_UMASK = ("sh", "-c", 'umask 0; exec "$@"', "sh")


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with open_box(tmp_path) as opened:
        yield opened


class Secrets:
    """Everything that a story has used and nobody may find, by what it is."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def add(self, **kept: bytes) -> None:
        """Keep secrets under their names."""
        self._kept |= kept

    def found_in(self, text: str) -> set[str]:
        """Return the names of those that stand in `text`, however they are spelled."""
        lower = text.lower()
        return {
            name
            for name, secret in self._kept.items()
            if any(one in text or one.lower() in lower for one in spellings(secret))
        }


def spellings(secret: bytes) -> Iterator[str]:
    """Yield how bytes may stand in a text: whole, or their first half."""
    for part in (secret, secret[: len(secret) // 2]):
        yield part.hex()
        yield base64.b32encode(part).decode().rstrip("=")
        yield base64.b64encode(part).decode().rstrip("=")
        yield base64.urlsafe_b64encode(part).decode().rstrip("=")
        yield repr(part)[2:-1]


async def tell_a_story(box: Box) -> Secrets:
    """Do everything that a gateway is for, and much that it refuses; return what was secret."""
    kept, lost = Phone(), Phone()
    person = Person(kept, lost)
    phone, revoked = await box.enrol(person, kept), await box.enrol(person, lost)
    phone.connection = await box.connect(source=ADDRESS)
    sender, other = await phone.sender(), await phone.sender()
    sent = letters(sender.lane, 3, size=1024)
    await sender.deposit(sent)
    wrong = await box.sender(Lane(sender.lane.id, secrets.token_bytes(32)))
    for failing in (sender.deposit(letters(other.lane, 1)), wrong.deposit(sent), revoked.fetch()):
        try:
            await failing
        except Refused:
            continue
    live = await phone.live()
    await live.send_str("no frame")
    await live.receive()
    await phone.drain()
    bearer = phone.bearer
    id, code = await box.show()
    for guess in (secrets.token_bytes(16), code.secret):
        try:
            await pair(phone.connection, asks(guess, channel=phone.connection.channel))
        except Refused:
            continue
    await box.say(id, same=False)
    await phone.revoke(revoked)
    await revoked.login()
    [seat] = (await box.owner.ask("GET", "/seats"))["seats"]
    seat_id = base64.b32decode(seat["seat"].upper() + "======")
    for path in (f"/v1/{seat['seat']}", f"/v1/rendezvous/{seat['seat']}/1", "/v1/%0d%0aerror: x"):
        await phone.ask("GET", path)
    for body in (bearer, b"\xff" * 300, code.text().encode()):
        await phone.ask("POST", "/v1/login", body)
    connection = await box.connect()
    with suppress(NoAnswer):
        await connection.ask("GET", "/v1/card", headers={"X": "y" * 20_000})
    await box.owner.ask("DELETE", f"/seats/{seat['seat']}")
    found = Secrets()
    found.add(bearer=bearer, revoked_bearer=revoked.bearer, code=code.secret, seat=seat_id)
    found.add(lane=sender.lane.id.raw, lane_key=sender.lane.key, other_lane=other.lane.id.raw)
    found.add(parcel=sent[0].id.raw, body=sent[0].body, purge=sent[0].purge)
    found.add(person=person.id.raw, device=kept.key.raw, device_id=kept.key.device.raw)
    found.add(lost=lost.key.raw, mac=phone.request.mac, card=person.card.chain[0])
    found.add(gateway=connection.channel.gateway.raw, code_text=code.text().encode())
    found.add(identity=(box.data / "identity.key").read_bytes())
    return found


@pytest.mark.parametrize("style", ["plain", "json"])
async def test_pl_07_the_log_of_a_whole_story_names_nobody(box: Box, style: str) -> None:
    """PL-07: at the loudest level: no bearer, key, code, seat, device, lane, parcel, address."""
    await box.start("--log-level", "debug", "--log-format", style)

    kept = await tell_a_story(box)
    await box.stop()

    assert "a phone was paired" in box.logged
    assert kept.found_in(box.logged) == set()
    assert ADDRESS not in box.logged
    assert "\nerror: x" not in box.logged
    assert kept.found_in(f"somebody wrote {base64.b64encode(b'x')!r}") == set()


def test_pl_07_a_secret_in_a_log_is_found_however_it_is_spelled() -> None:
    """PL-07: the search finds what it looks for."""
    kept, secret = Secrets(), secrets.token_bytes(16)
    kept.add(secret=secret)

    for spelled in spellings(secret):
        assert kept.found_in(f"info: {spelled}, and more") == {"secret"}


class Diary:
    """Words that people have typed, one canary for each field that there is."""

    def __init__(self) -> None:
        self.words: dict[str, bytes] = {}

    def word(self, field: str) -> str:
        """Return a new word for a field; remember it."""
        made = canary()
        self.words[f"{field} {len(self.words)}"] = made.encode("ascii")
        return made

    def letter(self) -> Letter:
        """Return a letter with words in its text, and in its file's name, type and content."""
        name, type, inside = (self.word(f"a file's {what}") for what in ("name", "type", "content"))
        file = File(f"{name}.txt", f"text/{type}", inside.encode("ascii") * 40)
        return Letter.write(f"Dear all, {self.word('a text')}", file)


async def test_pl_01_no_word_that_anybody_typed_is_found_at_the_box(amount: Amount) -> None:
    """PL-01: a canary in every field of people; none on the disk, in memory, log or frames."""
    diary = Diary()
    async with scene(Ledger(), short=True, seed=1) as stage:
        box = await stage.gateway()
        names = [f"{name} {diary.word('a name')}" for name in ("Anna", "Ben", "Cleo")]
        people = await stage.household(*names, gateway=box)
        anna, *others = people
        for called in names[1:]:
            (await anna.on()).rename(called, diary.word("what somebody is called"))
        shown = 0
        for _ in range(times(1, long=100)):
            for one in (await anna.on()).contacts.all():
                await anna.put(one.name, [diary.letter()])
            for other in others:
                await other.put(names[0], [diary.letter()])
            shown += len((await others[0].read()).letters)
        await box.box.stop()
        await box.start()
        shown += sum([len((await one.read()).letters) for one in people])

        search = box.observer.search(diary.words)

        assert shown * 4 == len([one for one in diary.words if "file" in one or "text" in one])
        assert {str(one) for one in search.hits} == set()
        (Path(box.box.environment["TMPDIR"]) / "left").write_bytes(
            base64.b64encode(b"x" + next(iter(diary.words.values())))
        )
        assert box.observer.search(diary.words).found_in("disk") == 1  # it would have been found
    size = sum(search.searched.values()) >> 20
    amount(f"{len(diary.words)} canaries in {size} MiB of disk, memory, log and frames")


async def test_pl_12_what_it_writes_is_its_users_alone(box: Box, tmp_path: Path) -> None:
    """PL-12: modes 0600 and 0700, umask 077, no core file, nothing in a temporary folder."""
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    await box.start(
        under=WITHOUT_UMASK,
        environment={"TMPDIR": str(elsewhere), "SQLITE_TMPDIR": str(elsewhere)},
    )
    phone = await box.enrol()
    sender = await phone.sender()
    for size in (256, MAX_BODY, MAX_BODY):
        await sender.deposit(letters(sender.lane, 1, size=size))
    await phone.drain()

    modes = {one.name: stat.S_IMODE(one.lstat().st_mode) for one in box.data.rglob("*")}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(box.data.stat().st_mode) == 0o700
    assert _status(box.pid, "status", "Umask:") == ["0077"]
    assert _status(box.pid, "limits", "Max core file size")[:2] == ["0", "0"]
    assert list(elsewhere.iterdir()) == []
    assert [one for one in open_files(box.pid) if box.data not in one.parents] == [box.log]

    await box.kill()
    assert {stat.S_IMODE(one.lstat().st_mode) for one in box.data.rglob("*")} == {0o600}


def _status(pid: int, file: str, name: str) -> list[str]:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()
    raise LookupError(name)


def open_files(pid: int) -> list[Path]:
    """Return the regular files that a process has open, those without a name included."""
    found = set[Path]()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if stat.S_ISREG(handle.stat().st_mode):
                found.add(Path(os.readlink(handle)))
        except FileNotFoundError:
            continue  # it was closed meanwhile
    return sorted(found)
