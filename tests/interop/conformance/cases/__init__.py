"""The cases, each under the feature that it shows.

A *message case* publishes something and returns the results that it waits for; all of them run at
once, and what became of every task is read from Redis at the end. A *procedure* talks to the worker
in steps and returns what it saw; procedures run one after the other.
"""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Case:
    feature: str
    name: str
    run: Callable

    @property
    def full_name(self):
        return f"{self.feature}: {self.name}"


MESSAGES = []
PROCEDURES = []


def case(feature):
    """Marks a message case; its name is the function's."""

    def mark(function):
        MESSAGES.append(Case(feature, function.__name__.replace("_", " "), function))
        return function

    return mark


def procedure(feature):
    """Marks a procedure; its name is the function's. It is given the recording."""

    def mark(function):
        PROCEDURES.append(Case(feature, function.__name__.replace("_", " ").strip(), function))
        return function

    return mark
