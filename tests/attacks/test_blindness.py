"""Attacks by whoever owns a gateway, or has taken one, and by a sender who is curious.

G1   the gateway's store is copied: what can be read in it, and what it is good for
G2   letters are told apart by their sizes
G6   a login is relayed through another TLS connection
G8   a sender wants to know when the recipient collects

The ids at the beginning of the docstrings are those of the list of attacks in docs/threat-model.md.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from nacl.signing import SigningKey

from gateway.app import STORE_NAME
from gateway.identity import load_identity
from peer.app import Peer
from peer.errors import GatewayRefused
from peer.ways.connection import Connection, Destination, connect
from peer.ways.gateway_client import DepositClient, GatewayClient
from tests.essay.ledger import Ledger
from tests.essay.needles import canary
from tests.essay.phones import Pocket
from tests.essay.scene import Scene, Watched, scene, secret_texts
from wire.auth import Channel, Login
from wire.frames import Deposit, Outcome, Proved, Result, decode_frame
from wire.ids import GatewayId, LaneId, ParcelId
from wire.lanes import Lane
from wire.padding import padded_length
from wire.parcel import MIN_BODY, Lifetime, Parcel
from wire.places import Place


@pytest.fixture(name="stage")
async def _stage() -> AsyncIterator[Scene]:
    async with scene(Ledger(), short=True, seed=1) as made:
        yield made


def _identity_of(box: Watched) -> tuple[GatewayId, bytes]:
    identity = load_identity(box.box.data, fresh=False)
    return identity.gateway, identity.certificate


@asynccontextmanager
async def _connection(box: Watched) -> AsyncIterator[Connection]:
    """Connect to a gateway as anybody can who knows its key."""
    gateway, certificate = _identity_of(box)
    destination = Destination(gateway, (Place.parse(box.box.place),), certificate)
    async with connect(destination, learned=lambda *_: None) as connection:
        yield connection


def _stored_lanes(box: Watched) -> list[Lane]:
    """Return the lanes in a copy of the gateway's store."""
    with closing(sqlite3.connect(box.box.data / STORE_NAME)) as store:
        rows = store.execute("SELECT lane, lane_key FROM lane").fetchall()
    return [Lane(LaneId(lane), key) for lane, key in rows]


async def _deposit(box: Watched, lane: Lane) -> str:
    """Deposit something on a lane; return what came of it."""
    gateway, _ = _identity_of(box)
    parcel = Parcel(lane.id, ParcelId(bytes(16)), Lifetime.DAY, bytes(32), bytes(MIN_BODY))
    async with _connection(box) as connection:
        try:
            (outcome,) = await DepositClient(connection).deposit(
                lane, [Proved(parcel.proof(lane, gateway=gateway), parcel)]
            )
        except GatewayRefused as refused:
            return refused.reason
    return outcome.result.code


async def test_a_copy_of_the_store_holds_no_word_and_no_name(stage: Scene) -> None:
    """G1."""
    box, word = await stage.gateway(), canary()
    anna, ben = await stage.household(f"Anna {word}", "Ben", gateway=box)
    texts, secrets = secret_texts(20, of="Anna")
    await anna.write("Ben", texts)
    search = box.observer.search(
        secrets | {"Anna’s name": word.encode()} | anna.secrets() | ben.secrets()
    )

    assert search.searched["disk"] > 20 * MIN_BODY
    assert search.hits == set()


async def test_lane_keys_of_a_copied_store_are_good_at_that_gateway_and_at_no_other(
    stage: Scene,
) -> None:
    """G1. That they are good at that one is the documented price."""
    box, elsewhere = await stage.gateway(), await stage.gateway("another box")
    _, ben = await stage.household("Anna", "Ben", gateway=box)
    stolen = [one for one in _stored_lanes(box) if one.id.raw in ben.lanes_at(_identity_of(box)[0])]
    here = [await _deposit(box, lane) for lane in stolen]
    await ben.pair(elsewhere.box)
    await ben.read()
    there = [await _deposit(elsewhere, lane) for lane in stolen]
    moved = ben.lanes_at(_identity_of(elsewhere)[0])
    own = [
        await _deposit(elsewhere, one) for one in _stored_lanes(elsewhere) if one.id.raw in moved
    ]

    assert here == ["stored"] * len(stolen)
    assert there == ["lane-refused"] * len(stolen)
    assert own == ["stored"] * len(stolen), "the lanes themselves work where Ben lives now"
    assert len(stolen) >= 2


async def test_letters_show_no_size_but_the_few_padded_ones(stage: Scene) -> None:
    """G2."""
    box = await stage.gateway()
    anna, _ = await stage.household("Anna", "Ben", gateway=box)
    lengths = range(1, 12_000, 97)
    await anna.write("Ben", ["x" * length for length in lengths])
    sizes = [len(one.parcel.body) for one in _deposited(box)]

    assert len(sizes) >= len(lengths)
    assert min(sizes) >= MIN_BODY
    assert all(padded_length(size) == size for size in sizes)
    assert len(set(sizes)) < len(lengths) / 2, "they would tell the lengths otherwise"


def _deposited(box: Watched) -> list[Proved]:
    """Return all parcels that came over the wire."""
    found: list[Proved] = []
    for one in box.tap.exchanges():
        if one.route == "POST /v1/deposit":
            frame = decode_frame(bytes(one.asked))
            assert isinstance(frame, Deposit)
            found += frame.parcels
    return found


async def test_a_login_relayed_through_another_tls_connection_is_refused(
    stage: Scene,
) -> None:
    """G6. The attacker has a gateway of his own, at which the phone would log in."""
    box, attacker = await stage.gateway(), await stage.gateway("the attacker’s box")
    (anna,) = await stage.household("Anna", gateway=box)
    key = (await anna.on()).me.identity.device.signing
    gateway, certificate = _identity_of(box)
    his, his_certificate = _identity_of(attacker)
    as_there = Channel.over(his, certificate=his_certificate)
    as_if_he_were_ours = Channel.over(gateway, certificate=his_certificate)
    as_here = Channel.over(gateway, certificate=certificate)

    assert await _relayed(box, key, as_there) == "login-refused"
    assert await _relayed(box, key, as_if_he_were_ours) == "login-refused"
    assert await _relayed(box, key, as_here) == "", "the same phone, where it should be, gets in"


async def test_a_login_that_was_caught_is_good_once(stage: Scene) -> None:
    """G6. Whoever reads it on the box and says it again gets no bearer."""
    box = await stage.gateway()
    (anna,) = await stage.household("Anna", gateway=box)
    await anna.read()
    caught = [bytes(one.asked) for one in box.tap.exchanges() if one.route == "POST /v1/login"]
    async with _connection(box) as connection:
        for login in caught:
            with pytest.raises(GatewayRefused) as refused:
                await connection.ask("POST", "/v1/login", body=login)
            assert refused.value.reason in ("login-refused", "challenge-stale")
    assert caught


async def _relayed(box: Watched, key: SigningKey, channel: Channel) -> str:
    """Log in with an answer that was made for `channel`; return the refusal, "" for none."""

    def signs(*, channel: Channel, nonce: bytes) -> Login:
        return Login.sign(key, channel=where, nonce=nonce)

    where = channel
    async with _connection(box) as connection:
        try:
            await GatewayClient(connection, signs).status()
        except GatewayRefused as refused:
            return refused.reason
    return ""


async def test_nothing_on_a_senders_connections_tells_when_the_recipient_collects(
    stage: Scene,
) -> None:
    """G8. Said again, a deposit has the same answer before and after."""
    box = await stage.gateway()
    anna, ben = await stage.household("Anna", "Ben", gateway=box)
    await anna.texts()
    await anna.write("Ben", ["are you there?"])
    sent = _deposited(box)[-1]
    before = await _again(box, sent)
    waiting = await _status(await anna.on())
    async with _watching(box, anna) as seen:
        assert await ben.texts() == ["are you there?"]
        after = await _again(box, sent)

    assert after == before == Outcome(sent.parcel.id, Result.STORED, 0)
    assert seen == []
    assert await _status(await anna.on()) == waiting
    assert await anna.texts() == []


async def _again(box: Watched, sent: Proved) -> Outcome:
    """Deposit a parcel that was deposited before, on the lane it came on."""
    lanes = {one.id: one for one in _stored_lanes(box)}
    async with _connection(box) as connection:
        (outcome,) = await DepositClient(connection).deposit(lanes[sent.parcel.lane], [sent])
    return outcome


async def _status(peer: Peer) -> object:
    return (await peer.status())["mailbox"]["waiting"]


@asynccontextmanager
async def _watching(box: Watched, phone: Pocket) -> AsyncIterator[list[object]]:
    """Hold a sender's mailbox open meanwhile; give what came on it after its greeting."""
    me, seen = (await phone.on()).me, list[object]()

    def signs(*, channel: Channel, nonce: bytes) -> Login:
        return Login.sign(me.identity.device.signing, channel=channel, nonce=nonce)

    async with (
        _connection(box) as connection,
        GatewayClient(connection, signs).mailbox(me.cursor) as mailbox,
    ):
        await mailbox.next()
        (link,) = [one for one in box.tap.links if b"GET /v1/mailbox" in one.up]
        heard = len(link.down)
        yield seen
        seen += [bytes(link.down[heard:])] if len(link.down) > heard else []
