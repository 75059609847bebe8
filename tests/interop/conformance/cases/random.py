"""Random canvases of tasks that count, fail, retry and wait. One seed, one canvas.

Even seeds nest chains, groups and chords, and nothing fails for good. Odd seeds are flat and fail:
where a failure leaves a nested canvas, Celery's own answer is a task without any result, which the
fixed cases show by name.
"""

import random

import celery
from celery import chain, chord, group
from celery.canvas import _chain

from ..app import add, done, fail, failed, identity, mul, retry_then, xsum
from . import Case

FEATURE = "canvas: random"
DEPTH = 3
# Nested canvases multiply; past this many tasks only leaves are drawn.
TASKS = 24
# Older clients count the parts of a header wrongly where one is a chain that ends in a group: the
# body then runs before all of them have ended, and what it is given is chance (seen with 5.4).
COUNTS_CHAINS = celery.VERSION[:2] >= (5, 7)


class Growing:
    """Draws one canvas."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.failing = seed % 2 == 1
        self.left = TASKS

    def canvas(self):
        """Draws something that is more than a leaf."""
        kinds = [self.chain, self.group, self.chord]
        if self.failing:
            kinds = [self.row, self.group_of_rows, self.chord_of_rows]
        return self.random.choices(kinds, [40, 20, 40])[0](DEPTH - 1, True)

    def leaf(self, first):
        """Draws a task; all but the `first` of a chain take one more argument in front, the result
        before them.
        """
        self.left -= 1
        n = self.random.randint(0, 9)
        kind = self.random.choice(["ValueError", "KeyError", "Broken", "Inner"])
        draws = [
            (8, lambda: add.s(n, n + 1) if first else add.s(n)),
            (4, lambda: mul.s(n, 3) if first else mul.s(n)),
            (2, lambda: identity.s(n) if first else identity.s()),
            (1, lambda: retry_then.s(1, n) if first else retry_then.si(1, n)),
            (1, lambda: add.si(n, n)),
            (1, lambda: xsum.map([[n], [1, 2]]) if first else xsum.s()),
            (1, lambda: add.starmap([(n, 1), (2, n)]) if first else xsum.s()),
            (4 if self.failing else 0, lambda: fail.s(kind=kind, arguments=[n])),
        ]
        weights, leaves = zip(*draws)
        return self.options(self.random.choices(leaves, weights)[0]())

    def options(self, signature):
        draw = self.random.random()
        if draw < 0.06:
            return signature.set(priority=self.random.choice([3, 6, 9]))
        if draw < 0.12:
            return signature.set(countdown=0.2)
        if draw < 0.18:
            return signature.set(link=[done.s(note="link")])
        if draw < 0.24:
            return signature.set(link_error=[failed.s()])
        return signature

    def several(self, least, most, draw):
        return [draw(n) for n in range(self.random.randint(least, most))]

    # Even seeds.

    def node(self, depth, first):
        """Draws anything."""
        if depth == 0 or self.left <= 0:
            return self.leaf(first)
        kinds = [self.leaf, self.chain, self.group, self.chord]
        kind = self.random.choices(kinds, [25, 30, 20, 25])[0]
        return self.leaf(first) if kind == self.leaf else kind(depth - 1, first)

    def chain(self, depth, first):
        """Draws a chain; a step after a group is a plain task.

        Celery links what follows a chord to each member of a group that is its body: those steps
        run once for each member, under one id, and which of them is seen last is chance.
        """
        steps, after_group = [], False
        for n in range(self.random.randint(2, 4)):
            step = self.leaf(False) if after_group else self.node(depth, first and n == 0)
            steps.append(step)
            after_group = ends_in_group(step)
        return chain(*steps)

    def body(self):
        if self.random.random() < 0.7:
            return self.leaf(False)
        return chain(*self.several(2, 3, lambda _: self.leaf(False)))

    def group(self, depth, first):
        return group(*self.several(2, 4, lambda _: self.node(depth, first)))

    def chord(self, depth, first):
        return chord(self.several(2, 4, lambda _: self.header_part(depth, first)), self.body())

    def header_part(self, depth, first):
        part = self.node(depth, first)
        is_miscounted = isinstance(part, _chain) and ends_in_group(part)
        return self.leaf(first) if is_miscounted and not COUNTS_CHAINS else part

    # Odd seeds.

    def row(self, _depth, first):
        return chain(*self.several(2, 6, lambda n: self.leaf(first and n == 0)))

    def part(self, first):
        return self.leaf(first) if self.random.random() < 0.6 else self.row(0, first)

    def group_of_rows(self, _depth, first):
        return group(*self.several(2, 5, lambda _: self.part(first)))

    def chord_of_rows(self, _depth, first):
        return chord(self.several(2, 5, lambda _: self.part(first)), self.leaf(False))


def ends_in_group(signature):
    if isinstance(signature, _chain):
        return ends_in_group(signature.tasks[-1])
    if isinstance(signature, chord):
        return ends_in_group(signature.body)
    return isinstance(signature, group)


def cases(seed, count):
    """Returns the cases of `count` seeds from this one on."""

    def one(n):
        return Case(FEATURE, f"seed {n}", lambda: Growing(n).canvas().apply_async())

    return [one(seed + n) for n in range(count)]
