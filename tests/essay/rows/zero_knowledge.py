"""Rows on servers that know nothing: what they still have to read, and what one can make of it."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from gateway.app import STORE_NAME
from gateway.identity import KEY_NAME, TLS_NAME, load_identity
from peer.items.kinds import CardUpdate, Content, File, Gone, Heartbeat, Letter, Range, Resend
from tests.essay.http_record import Exchange
from tests.essay.ledger import row
from tests.essay.needles import Needles
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, Watched, secret_texts
from wire.archive import Segment
from wire.auth import LaneOpening, Login
from wire.codec import decode
from wire.errors import WireError
from wire.frames import Ack, Deposit, Proved, Resume, decode_frame, encode_frame
from wire.lanes import LaneRight
from wire.pairing import PairRequest
from wire.parcel import HEADER_BYTES, Parcel
from wire.person_keys import decode_put
from wire.prekeys import decode_upload
from wire.rendezvous import MAX_MESSAGE
from wire.state_log import Batch, Snapshot, decode_ask, decode_batches
from wire.statements import Signed

THREAT_MODEL: Final = Path(__file__).parents[3] / "docs" / "threat-model.md"
PARSED: Final = (Parcel, Proved, Deposit, LaneOpening)
"""What a gateway reads when a parcel comes."""
LETTERS: Final = ("letter", "letter with a picture")
HOLDERS: Final = frozenset({"Proved.parcel", "Deposit.parcels"})
"""Fields that hold others of these; theirs are listed."""


@row(
    "Z1",
    about="some of it a server has to read",
    shown_by="every field that the gateway can read, for each kind of item: those that are "
    "documented, no more and no fewer",
)
async def what_it_reads(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    await ben.off()
    seen = {kind: await _deposited(box, anna, item) for kind, item in (await _kinds(anna)).items()}
    for kind, deposits in seen.items():
        for one in (proved.parcel for deposit in deposits for proved in deposit.parcels):
            scene.ledger.tell(
                f"of a {kind} it reads",
                f"lane {one.lane}, a proof, id {one.id}, a purge hash, lifetime "
                f"{one.lifetime.name.lower()}, {len(one.body)} sealed bytes",
            )
    parcels = {
        kind: [one.parcel for deposit in deposits for one in deposit.parcels]
        for kind, deposits in seen.items()
    }
    lifetimes = {one.lifetime for several in parcels.values() for one in several}
    scene.ledger.equal("lifetimes by which kinds could be told apart", len(lifetimes), 1)
    lanes = {kind: {one.lane for one in several} for kind, several in parcels.items()}
    words = [lanes[kind] for kind in lanes if kind not in LETTERS]
    scene.ledger.true(
        "lanes: letters share one, whatever else phones say to each other shares another",
        all(lanes[kind] == lanes[LETTERS[0]] for kind in LETTERS)
        and all(one == words[0] for one in words)
        and len(lanes[LETTERS[0]] | words[0]) == 2,
        len(set().union(*lanes.values())),
    )
    heads = {len(one.encode()) - len(one.body) for several in parcels.values() for one in several}
    scene.ledger.equal("bytes of a parcel’s head, all of them in its fields", heads, {HEADER_BYTES})

    dictionary, columns = THREAT_MODEL.read_text(), stored_columns(box.box.data / STORE_NAME)
    for what, there, listed in (
        ("fields read", parsed_fields(), documented(dictionary, "field")),
        ("columns stored", columns, documented(dictionary, "column")),
    ):
        scene.ledger.tell(what, len(there))
        scene.ledger.equal(f"{what} and not documented", sorted(there - listed), [])
        scene.ledger.equal(f"{what}: documented and not there", sorted(listed - there), [])
    files = {path.name for path in box.box.data.iterdir()}
    strange = [name for name in sorted(files) if f"`{name}`" not in dictionary]
    scene.ledger.equal("files kept and not documented", strange, [])
    ids = stored_ids(box.box.data / STORE_NAME)
    logged = Needles(ids).find(box.box.log.encode(), where="log")
    scene.ledger.equal("ids of seats, devices, lanes and parcels in its log", len(logged), 0)


def parsed_fields() -> set[str]:
    """Return every field of what a gateway reads when a parcel comes."""
    found = {f"{one.__name__}.{field.name}" for one in PARSED for field in fields(one)}
    return found - HOLDERS


def stored_columns(store: Path) -> set[str]:
    """Return every column of a gateway's store, as `table.column`."""
    with closing(sqlite3.connect(store)) as database:
        found = database.execute(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
        )
        return {f"{table}.{column}" for table, column in found}


def documented(text: str, what: str) -> set[str]:
    """Return what the tables of the data dictionary list whose first column is headed `what`."""
    found, inside = set[str](), False
    for line in text.splitlines():
        first = line.partition("|")[2].partition("|")[0].strip()
        if not line.startswith("|"):
            inside = False
        elif first == what:
            inside = True
        elif inside and (name := re.fullmatch(r"`([^`]+)`", first)):
            found.add(name[1])
    return found


def stored_ids(store: Path) -> dict[str, bytes]:
    """Return the ids of all seats, devices, lanes and parcels in a gateway's store."""
    named = (("seat", "seat"), ("device", "device"), ("lane", "lane"), ("parcel", "parcel"))
    with closing(sqlite3.connect(store)) as database:
        return {
            f"{table} {number}": raw
            for table, column in named
            for number, (raw,) in enumerate(database.execute(f"SELECT {column} FROM {table}"))  # noqa: S608
        }


async def _kinds(phone: Pocket) -> dict[str, Content]:
    peer = await phone.on()
    device = peer.me.identity.device.id
    picture = File("cat.jpg", "image/jpeg", bytes(5000))
    return {
        "letter": Letter.write("Soup is on the stove."),
        "letter with a picture": Letter.write("Look!", picture),
        "request to send again": Resend(device, (Range(1, 2),)),
        "word that something is gone": Gone(device, (Range(1, 2),)),
        "heartbeat": Heartbeat(),
        "card": CardUpdate(peer.me.card.chain),
    }


async def _deposited(box: Watched, phone: Pocket, item: Content) -> list[Deposit]:
    """Send an item; return the deposits that the gateway got, each read to its last byte."""
    before = len(list(_deposits(box)))
    assert await phone.put("Ben", [item]) == 0
    return list(_deposits(box))[before:]


def _deposits(box: Watched) -> Iterator[Deposit]:
    for exchange in box.tap.exchanges():
        if exchange.route == "POST /v1/deposit" and exchange.asked:
            frame = decode_frame(bytes(exchange.asked))
            assert isinstance(frame, Deposit)
            assert encode_frame(frame) == exchange.asked
            yield frame


@row(
    "Z2",
    about="a server can read nothing and still know who writes to whom",
    shown_by="parcels at Ben’s gateway whose sender an attacker who owns it can name: 0; how many "
    "he can tell to be from one sender is printed",
)
async def who_writes(scene: Scene) -> None:
    box, elsewhere = await scene.gateway("Ben’s box"), await scene.gateway("the others’ box")
    ben = scene.pocket("Ben")
    await ben.pair(box.box)
    senders = [scene.pocket(f"Sender{place}") for place in range(scene.many(10, 5))]
    for one in senders:
        await one.pair(elsewhere.box)
        await one.meet(ben)
    await ben.off()
    each = scene.many(100, 20)
    before = len(box.tap.links)
    for turn in range(4):
        for one in scene.dice.sample(senders, len(senders)):
            texts, _ = secret_texts(each // 4, of=f"{one.name}, {turn}")
            assert await one.write("Ben", texts) == 0

    parcels = _waiting(box)
    public = {name: value for one in senders for name, value in (await _public(one)).items()}
    scene.ledger.tell(
        "parcels, and persons who may have sent them", f"{len(parcels)}, {len(senders)}"
    )
    scene.ledger.tell("what the attacker knows of each", "name, person, all public keys, card")
    heaps = [bytes(raw) for link in box.tap.links[before:] for raw in (link.up, link.down)]
    heaps += [lane + body for lane, body in parcels]
    needles = Needles(public)
    named = sum(bool(needles.find_packed(heap, where="a deposit")) for heap in heaps)
    scene.ledger.equal("deposits in which something names their sender", named, 0)
    stored = needles.find((box.box.data / STORE_NAME).read_bytes(), where="store")
    scene.ledger.equal("senders named anywhere in the store", len(stored), 0)
    agents = {
        frozenset(exchange.headers.items() - {("host", box.box.place)})
        for exchange in _exchanges_since(box, before)
        if exchange.route == "POST /v1/challenge"
    }
    scene.ledger.equal("ways in which their requests differ", len(agents), 1)
    lanes = Counter(lane for lane, _ in parcels)
    scene.ledger.equal("pseudonyms he sees: lanes", len(lanes), len(senders))
    scene.ledger.tell(
        "linkage: pairs of parcels of one sender that he can tell to be so",
        f"{_linked(lanes, each)}, by the lane, at this gateway only",
    )
    other = load_identity(elsewhere.box.data, fresh=False).gateway
    same = set(lanes) & ben.lanes_at(other)
    scene.ledger.equal("of these lanes, known by the same id at another gateway", len(same), 0)


def _waiting(box: Watched) -> list[tuple[bytes, bytes]]:
    with closing(sqlite3.connect(box.box.data / STORE_NAME)) as store:
        return store.execute("SELECT lane, body FROM parcel").fetchall()


def _exchanges_since(box: Watched, before: int) -> list[Exchange]:
    return [one for link in box.tap.links[before:] for one in link.conversation.exchanges]


def _linked(lanes: Counter[bytes], each: int) -> str:
    pairs = sum(count * (count - 1) // 2 for count in lanes.values())
    return f"{pairs / (len(lanes) * each * (each - 1) // 2):.0%}"


async def _public(phone: Pocket) -> dict[str, bytes]:
    me = (await phone.on()).me
    found = {
        "person": me.person.raw,
        "root key": me.card.root_key,
        "device": me.identity.device.id.raw,
        "device key": me.identity.device.key.raw,
        "exchange key": me.identity.device.exchange.public,
        "person key": me.card.person_public,
        "card": me.card.position.hash,
        "gateway": me.needs_home().gateway.raw,
    }
    return {f"{phone.name}’s {name}": value for name, value in found.items()}


@row(
    "Z5",
    about="the key that opens everything has to be kept somewhere",
    shown_by="private keys of persons and devices on the gateway, wrapped or not: 0; uploads that "
    "are anything but a documented message: 0",
)
async def where_keys_are(scene: Scene) -> None:
    box = await scene.gateway()
    anna, ben = await scene.household("Anna", "Ben", gateway=box)
    texts, _ = secret_texts(20, of="Anna")
    await anna.write("Ben", texts)
    before = anna.secrets() | ben.secrets()  # keys that are used up are gone from the phone
    await ben.texts()
    await ben.write("Anna", texts[:5])
    await anna.texts()
    keys = before | anna.secrets() | ben.secrets()
    kinds = Counter(" ".join(name.split(": ")[1].split()[:1]) for name in keys)
    scene.ledger.true("private keys on the phones", len(keys) > 0, f"{len(keys)}: {dict(kinds)}")
    scene.report(box.observer.search(keys))
    uploads = box.tap.exchanges()
    strange = [one.route for one in uploads if not _is_message(one)]
    scene.ledger.equal("uploads that are no documented message", strange, [])
    scene.ledger.true("uploads read", len(uploads) > 0, len(uploads))
    files = {name for name, heap in box.observer.files() if b"PRIVATE KEY" in heap}
    scene.ledger.equal(
        "files with a key of its own", sorted(files | {KEY_NAME}), [KEY_NAME, TLS_NAME]
    )
    scene.ledger.tell("backups", "none: nothing makes them yet")


def _is_message(exchange: Exchange) -> bool:
    """Return whether a request's body is, to its last byte, what the protocol says it is."""
    for pattern, read in _UPLOADS.items():
        if re.fullmatch(pattern, exchange.route):
            try:
                read(bytes(exchange.asked))
            except (WireError, ValueError):
                return False
            return True
    return False


def _nothing(data: bytes) -> None:
    if data:
        raise ValueError("there should be no body")


def _batches(data: bytes) -> None:
    for one in decode_batches(data):
        Batch.decode(one)


def _frame(kind: type[Any]) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        if not isinstance(decode_frame(data), kind):
            raise ValueError("another frame")

    return read


def _lanes(data: bytes) -> None:
    match decode(data, limit=len(data)):
        case {0: 1, 1: int(), 2: [*lanes], **rest} if not rest:
            for one in lanes:
                LaneRight.from_value(one)
        case _:
            raise ValueError("no change of lanes")


def _short(data: bytes) -> None:
    if len(data) > MAX_MESSAGE:
        raise ValueError("too long for a slot")


_UPLOADS: Final[dict[str, Callable[[bytes], Any]]] = {
    r"GET .*": _nothing,
    r"POST /v1/(challenge|prekeys/fetch)": _nothing,
    r"POST /v1/pair(/refuse)?": PairRequest.decode,
    r"POST /v1/login": Login.decode,
    r"PUT /v1/lanes": _lanes,
    r"POST /v1/prekeys": decode_upload,
    r"POST /v1/card": Signed.decode,
    r"PUT /v1/person-key": decode_put,
    r"POST /v1/state": decode_ask,
    r"POST /v1/state/batches": _batches,
    r"PUT /v1/state/snapshot": Snapshot.decode,
    r"POST /v1/archive": Segment.decode,
    r"POST /v1/mailbox/collect": _frame(Resume),
    r"POST /v1/mailbox/ack": _frame(Ack),
    r"POST /v1/deposit": _frame(Deposit),
    r"POST /v1/rendezvous/\w+": _nothing,
    r"PUT /v1/rendezvous/\w+/[1-4]": _short,
}
