"""What a parcel may do to a sleeping phone: the recipient's rule, and nothing of the content.

The rule of a lane is stored with it. Waking phones is not built yet; what a rule asks for is
settled here, so that it is one table and not a habit of several places.

    rule                       in quiet hours   otherwise
    -------------------------  ---------------  ---------
    wake                       now              now
    wake outside quiet hours   later            now
    digest                     later            later
    never                      never            never
"""

from enum import Enum, auto

from wire.lanes import WakeRule


class Wake(Enum):
    """When the phone is to be woken."""

    NOW = auto()
    LATER = auto()
    """With the digest, or when the quiet hours are over."""
    NEVER = auto()


def wanted(rule: WakeRule, *, quiet: bool) -> Wake:
    """Return what `rule` asks for.

    Args:
        rule: what the recipient's device has set for the lane.
        quiet: whether it is the recipient's quiet hours.
    """
    match rule:
        case WakeRule.WAKE:
            return Wake.NOW
        case WakeRule.WAKE_OUTSIDE_QUIET_HOURS:
            return Wake.LATER if quiet else Wake.NOW
        case WakeRule.DIGEST:
            return Wake.LATER
        case WakeRule.NEVER:
            return Wake.NEVER
