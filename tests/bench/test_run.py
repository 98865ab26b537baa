"""A whole run measures everything that can be had here, and says what could not."""

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.household import Played
from bench.run import per_day


@pytest.mark.timeout(600)
def test_a_tiny_run_without_peers_fills_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "results.json"

    wanted = ["--tiny", "--alone", "--column", "plain"]  # other tests speak TLS
    status = main([*wanted, "--cache", str(tmp_path), "--json", str(target)])

    found = json.loads(target.read_text(encoding="utf-8"))
    rows = {(one["row"], one["column"]): one for one in found["rows"]}
    shown = capsys.readouterr().out
    assert status == 0
    assert [one for one in found["absent"].values() if one.startswith("it failed")] == []
    assert found["figures"]["plain.kill.lost"] == 0
    assert found["figures"]["plain.household.refused"] == 0
    assert rows["5", "plain"]["verdict"] == "not measured"
    for row in ("4", "11", "12", "13", "15", "F1", "F8"):
        assert None not in rows[row, "plain"]["values"].values()
        assert rows[row, "tls"]["verdict"] == "not measured"
    for row in ("K12", "K14", "K15"):
        for place in ("memory", "disk"):
            assert None not in rows[row, place]["values"].values()
    assert "| 14 | answering again" in shown
    assert "Not measured: redis: it is not wanted." in shown


def test_a_part_of_a_day_tells_what_the_whole_would_cost() -> None:
    played = Played(
        posts=10, stored=9, refused={"busy": 1}, collected=5, bytes_in=1000,
        p50=0.1, p95=0.2, p99=0.3, seconds=1.0, day_share=0.25, cpu=2.0, written=3000,
        peak_memory=7, others=0.0,
    )  # fmt: skip

    found = per_day(played)

    assert (found["cpu"], found["written"], found["bytes"]) == (8.0, 12_000, 4000)
    assert (found["memory"], found["refused"], found["p95"]) == (7, 1, 0.2)
