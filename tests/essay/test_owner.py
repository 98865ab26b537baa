"""Everything that an owner can ask is asked, and no field of an answer is passed over."""

from pathlib import Path

from demo.stage import Box
from tests.essay.owner import Owner, fields_of, operations


def test_fields_inside_others_and_in_lists_are_named() -> None:
    value = {"disk": {"free_bytes": 1}, "places": ["box:1"], "rows": [{"name": 1}, {"more": 2}]}

    assert set(fields_of("status", value)) == {
        "status: disk.free_bytes",
        "status: places",
        "status: rows.name",
        "status: rows.more",
    }
    assert set(fields_of("seats", [{"seat": "a", "names": []}])) == {"seats: seat", "seats: names"}


async def test_every_operation_of_the_control_socket_is_asked(tmp_path: Path) -> None:
    box = Box("the box", tmp_path)
    await box.start()
    try:
        owner = Owner(box)
        await owner.ask_everything()
    finally:
        await box.stop()

    assert owner.asked == operations()
    assert {"status: disk.free_bytes", "pair: code", "refusal: error"} <= owner.fields
    assert "seats: " not in owner.fields
    assert any("no-such-seat" in text for text in owner.said)
