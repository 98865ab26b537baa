"""Every scale fits what is measured with it."""

import pytest

from bench.box import CONNECTIONS
from bench.footprint import FIRST
from bench.run import BESIDE
from bench.scale import FULL, QUICK, TINY, Scale


@pytest.mark.parametrize("scale", [TINY, QUICK, FULL], ids=["tiny", "quick", "full"])
def test_a_scale_leaves_room_for_everything(scale: Scale) -> None:
    assert scale.mailboxes > BESIDE
    assert FIRST + scale.connections < CONNECTIONS
    assert scale.hours[0] < scale.hours[1]
    assert min(scale.batches, scale.one, scale.posts, scale.live, scale.rush, scale.drain) > 0


def test_a_full_run_holds_a_million_parcels_and_plays_a_whole_day() -> None:
    assert FULL.held == 1_000_000
    assert FULL.hours == (0.0, 24 * 3600.0)
