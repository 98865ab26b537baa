"""What a rule asks for."""

import pytest

from gateway.push.rules import Wake, wanted
from wire.lanes import WakeRule


@pytest.mark.parametrize(
    ("rule", "quiet", "otherwise"),
    [
        (WakeRule.WAKE, Wake.NOW, Wake.NOW),
        (WakeRule.WAKE_OUTSIDE_QUIET_HOURS, Wake.LATER, Wake.NOW),
        (WakeRule.DIGEST, Wake.LATER, Wake.LATER),
        (WakeRule.NEVER, Wake.NEVER, Wake.NEVER),
    ],
)
def test_each_rule_does_what_its_owner_chose(rule: WakeRule, quiet: Wake, otherwise: Wake) -> None:
    assert wanted(rule, quiet=True) is quiet
    assert wanted(rule, quiet=False) is otherwise


def test_there_is_no_rule_without_a_meaning() -> None:
    assert all(wanted(rule, quiet=quiet) for rule in WakeRule for quiet in (True, False))
