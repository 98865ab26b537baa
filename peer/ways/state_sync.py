"""Brings this phone and the state log at its gateway into step, both ways.

    ours sealed -> what do you have beyond this? -> snapshots if need be, batches -> what you lack

Every step may be repeated, and nothing is lost by stopping anywhere: what was taken stays taken,
what was not handed over is handed over next time. A gateway that was wiped or put back from a copy
is given again what it lacks (docs/protocol.md §15.4).
"""

from collections.abc import Sequence
from typing import Final

from peer.devices.log import StateLog
from peer.errors import GatewayRefused, PhoneCopied
from peer.keys.errors import KeysError
from peer.me import Me
from peer.store import Store
from peer.ways.gateway_client import GatewayClient
from wire.errors import WireError
from wire.ids import DeviceId
from wire.state_log import MAX_BATCHES, MAX_MESSAGE, Head, LogAnswer, SnapshotHead

ROUNDS: Final = 4096
"""Questions in one exchange: with each the gateway tells something new, or it ends."""
COPIED: Final = "phone-copied"


async def sync_state(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> bool:
    """Take what other devices of this person have changed, and tell what this one has.

    Returns:
        whether something changed here.

    Raises:
        PhoneCopied: there are changes of this device that it does not know; nothing is told.
        GatewayNotThere, WrongGateway, GatewayRefused
    """
    try:
        return await _sync(store, me, gateway, now=now)
    except PhoneCopied:
        with store.transaction():
            store.keep_note(COPIED, b"")
        raise


async def _sync(store: Store, me: Me, gateway: GatewayClient, *, now: float) -> bool:
    log = StateLog(store, me)
    if me.belongings.has_begun():
        log.seal()
    changed, answer = await _take_all(store, me, gateway, log)
    if not me.belongings.has_begun():
        log.synced(answer.heads, now=now)
        log.seal()
    log.name_cuts()
    await _tell(gateway, log, answer.heads)
    log.handed_over()
    if log.is_due(answer.heads, answer.snapshots, now=now):
        await gateway.leave_state_snapshot(log.snapshot().encode())
        log.left(now=now)
    log.synced(answer.heads, now=now)
    with store.transaction():
        changed |= me.belongings.read_elsewhere() > 0  # letters may have come since from an archive
    return changed


async def _take_all(
    store: Store, me: Me, gateway: GatewayClient, log: StateLog
) -> tuple[bool, LogAnswer]:
    changed, looked, taken = False, False, set[tuple[DeviceId, int]]()
    for _ in range(ROUNDS):
        vector = log.vector()
        answer = await gateway.state_log(log.known())
        for one in answer.snapshots:
            sign = (one.device, sum(one.vector.values()))
            if sign in taken or one.device not in log.wanted(answer.heads, answer.snapshots):
                continue
            taken.add(sign)
            changed |= await _take_snapshot(gateway, log, one)
        took = log.take(answer.batches)
        changed |= took.changed
        if took.lacking and not looked:
            looked = True  # a device that was added since: the card says who that is
            with store.transaction():
                me.take_statements(await gateway.card())
            continue
        if log.vector() == vector:
            break  # that was all, or what it goes on telling leads nowhere
    return changed, answer


async def _take_snapshot(gateway: GatewayClient, log: StateLog, head: SnapshotHead) -> bool:
    raw = await gateway.state_snapshot(head.device)
    if raw is None:
        return False
    try:
        changed = log.take_snapshot(raw)
    except (WireError, KeysError):
        return False  # of a device that is revoked, or of a person key that is not here yet
    log.took(head)
    return changed


async def _tell(gateway: GatewayClient, log: StateLog, heads: Sequence[Head]) -> None:
    lacking = log.beyond({one.device: max(one.newest, one.floor) for one in heads})
    for some in _messages(lacking):
        try:
            await gateway.leave_batches(some)
        except GatewayRefused as refused:
            if refused.reason == "state-taken":
                await _look_for_a_copy(gateway, log)
            raise


async def _look_for_a_copy(gateway: GatewayClient, log: StateLog) -> None:
    """Look at what the gateway has in our place: only what we signed proves that we were copied.

    Raises:
        PhoneCopied
    """
    answer = await gateway.state_log({})
    log.take(answer.batches)


def _messages(batches: Sequence[bytes]) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    size = 0
    for one in batches:
        if not found or size + len(one) > MAX_MESSAGE or len(found[-1]) == MAX_BATCHES:
            found.append([])
            size = 0
        found[-1].append(one)
        size += len(one)
    return found
