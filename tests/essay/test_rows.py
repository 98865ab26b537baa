"""Every row of the checklist holds, played with fewer letters than the command takes."""

import pytest

from tests.essay.ledger import ROWS, Row
from tests.essay.play import play


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.id)
async def test_the_row_holds(row: Row) -> None:
    played = await play(row, short=True, seed=1)

    assert played.passed, "\n".join([played.trouble, *map(str, played.measures)])
