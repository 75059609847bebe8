"""Python tasks run for Rhubarb's worker: what the worker's Python processes consist of.

For: the processes that ``worker --python`` starts. Not for: being imported by an application. The
worker carries these files with it and hands them over when it starts Python, so that nothing has
to be installed and the two always fit each other.

Reading order: ``frames`` (what is said over a socket), ``zygote`` (imports the application once
and forks), ``application`` (what the worker is told of it), ``child`` (runs tasks by Celery's own
tracer), ``backend`` and ``transport`` (results and messages, by way of the worker), ``logs``.
"""
