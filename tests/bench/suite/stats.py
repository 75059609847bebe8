"""Medians and percentiles."""

import math
import statistics


def percentile(ordered, share):
    """The smallest value that at least this share of the values does not pass (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median_of(records):
    """A record with the median of each number; what is no number, or not in all, is the first
    one's.
    """
    first = records[0]
    merged = dict(first)
    for name, value in first.items():
        values = [record.get(name) for record in records]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            merged[name] = statistics.median(values)
    return merged
