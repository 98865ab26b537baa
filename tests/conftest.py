"""A third result beside passed and failed: "not possible here", with what was missing.

Cases of tests/faults need a mount, a tracer or another clock. Where the machine refuses, the case
has shown nothing, and the summary says so instead of counting it as passed.
"""

from collections.abc import Generator
from typing import Any, Final

import pytest
from hypothesis import settings

from tests.faults.here import NotPossibleHere

PROPERTY: Final = "not possible here"

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # how long an example takes says how busy the machine is


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Run a test; note what it missed, if that is why it ended."""
    try:
        return (yield)
    except NotPossibleHere as missing:
        pyfuncitem.user_properties.append((PROPERTY, str(missing)))
        return True


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str] | None:
    """Give cases that were not possible a word and a count of their own."""
    if report.when == "call" and report.passed and dict(report.user_properties).get(PROPERTY):
        return PROPERTY, "n", "NOT POSSIBLE HERE"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say for each of them what was missing."""
    for report in terminalreporter.stats.get(PROPERTY, []):
        missing = dict(report.user_properties)[PROPERTY]
        terminalreporter.write_line(f"not possible here: {report.nodeid}: {missing}")
