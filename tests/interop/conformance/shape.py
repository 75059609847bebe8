"""What is compared of an answer whose values are a matter of chance: its form."""

import re

from . import ids

FLOAT = {"time_start", "timestamp", "runtime", "clock", "pid", "worker_pid"}


def shape(value):
    """Replaces every number and text by the name of its type; keys stay, a list keeps its first
    element.
    """
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


def named(value):
    """Gives ids the names id1, id2, … in the order in which they appear, and chance values the
    names of their types.
    """
    names = {}

    def walk(value, key=None):
        if isinstance(value, dict):
            return {walk(name): walk(one, name) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(one) for one in value]
        if isinstance(value, str):
            value = ids.ANY.sub(lambda match: names.setdefault(match[0], f"id{len(names) + 1}"), value)
            return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", "TIME", value)
        return type(value).__name__ if key in FLOAT else value

    return walk(value)
