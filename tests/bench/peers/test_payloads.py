"""Peers get as much to keep as a gateway of ours does."""

from bench.deposits import BODY
from bench.peers.payloads import items
from bench.talks import ID_BYTES


def test_every_item_has_the_size_of_a_body_and_begins_with_its_id() -> None:
    found = list(items(3))

    assert [len(one.data) for one in found] == [BODY] * 3
    assert [one.data[:ID_BYTES] for one in found] == [one.ids[0] for one in found]
    assert len({one.ids for one in found}) == 3
