"""When a task's own code has ended, and Celery's tracer publishes what follows it.

What a task publishes itself goes out at once. What follows its end is for the worker to publish
together with the result. The tracer asks for a signature first, in a name that it takes when it is
built: that is where the second phase begins.
"""

import contextlib

from celery import canvas

#: The task that runs in this process; ``None`` between two tasks.
current = None


@contextlib.contextmanager
def noticed():
    """Have the tracers that are built inside tell when the second phase begins."""
    original = canvas.maybe_signature

    def maybe_signature(*args, **kwargs):
        if current is not None:
            current.has_ended = True
        return original(*args, **kwargs)

    canvas.maybe_signature = maybe_signature
    try:
        yield
    finally:
        canvas.maybe_signature = original
