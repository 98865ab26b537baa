"""Recovery: what is right works, what is wrong is throttled, and nobody alone is enough."""

import secrets
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path

import pytest

from peer.errors import SharesDoNotFit
from peer.keys.shares import Split, friends_secret, join, proof_key, split
from tests.faults.conftest import Amount
from tests.gateway.served import Served, Visitor, open_served
from tests.gateway.sync.people import Phone
from wire.ids import PersonId
from wire.recovery import Ask, Left, Stage, Told

SEED = bytes(range(16))
WRONG = 1000


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_served(tmp_path / "box") as opened:
        yield opened


@pytest.fixture(scope="module")
def made() -> Split:
    return split(SEED, need=3, count=5)


async def asks(visitor: Visitor, person: PersonId, key: bytes, exchange: bytes) -> bytes | object:
    """Ask for the share; return the answer, or the code of a refusal."""
    ask = Ask.make(
        key,
        person=person,
        exchange_key=exchange,
        lost=(),
        channel=visitor.served.channel,
        nonce=await visitor.nonce(),
    )
    answer = await visitor.ask("POST", "/v1/recovery/ask", ask.encode())
    return answer.data if answer.status == 200 else answer.code


async def test_cy_10_the_right_secret_works_and_a_thousand_wrong_ones_are_throttled(
    served: Served, made: Split, amount: Amount
) -> None:
    """CY-10: three of five friends and the box have the seed; a thousand wrong proofs are
    throttled; friends alone, the box alone, two friends and the box have nothing."""
    ana, visitor = await served.enrolled(), await served.visitor()
    key, exchange = proof_key(friends_secret(made.friends[1:4])), Phone().exchange
    left = Left(proof_key(made.secret), made.gateway, secrets.token_bytes(16))
    assert (await ana.ask("PUT", "/v1/recovery/share", left.encode())).status == 204

    right = await asks(visitor, ana.person.id, key, exchange)
    assert isinstance(right, bytes)
    wrong = [
        await asks(visitor, ana.person.id, secrets.token_bytes(32), exchange) for _ in range(WRONG)
    ]
    assert set(wrong) == {"recovery-refused", "too-many-requests"}
    assert wrong.count("too-many-requests") > WRONG - 20
    amount(f"{WRONG} wrong proofs")

    assert Told.decode(right).stage is Stage.WAITING


def test_cy_10_nobody_alone_has_the_seed(made: Split) -> None:
    """CY-10: friends without the box, the box without friends, and too few friends with it."""
    assert join(made.friends[2:], made.gateway) == SEED
    for friends, gateway in (
        (made.friends, made.friends[0]),
        ((), made.gateway),
        *((some, made.gateway) for some in combinations(made.friends, 2)),
    ):
        with pytest.raises(SharesDoNotFit):
            join(friends, gateway)
