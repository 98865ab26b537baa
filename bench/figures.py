"""Numbers out of many numbers, and how they are written."""

import math
from collections.abc import Sequence


def percentile(sorted_values: Sequence[float], part: float) -> float:
    """Return the value that `part` of all do not exceed; NaN where there is none.

    Args:
        sorted_values: rising.
        part: 0 to 1; 0.5 is the median.
    """
    if not sorted_values:
        return math.nan
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))]


def median(values: Sequence[float]) -> float:
    """Return the middle of some values, in whatever order they are; NaN where there is none."""
    return percentile(sorted(values), 0.5)


def shown(value: float) -> str:
    """Return a number with as many digits as it deserves: three, and no more behind the point."""
    if math.isnan(value):
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
