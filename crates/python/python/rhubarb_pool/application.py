"""The application: how it is found and set up as in a Celery worker, and what is told of it."""

import logging
import os
import sys

from celery import signals
from celery.app import trace
from celery.app.utils import find_app

from . import backend, logs, phases, transport


class Worker:
    """What signals have as their sender, in the place of Celery's worker."""

    def __init__(self, app, hostname, concurrency):
        self.app = app
        self.hostname = hostname
        self.concurrency = concurrency

    def __str__(self):
        return self.hostname


class Loaded:
    """An application that is imported and ready to be forked."""

    def __init__(self, app, hostname, settings, worker):
        self.app = app
        self.worker = worker
        self.hostname = hostname
        self.settings = settings

    def ends(self):
        """Tell the application that the worker has gone."""
        signals.worker_shutting_down.send(
            sender=self.hostname, sig="SIGTERM", how="Warm", exitcode=0
        )
        signals.worker_shutdown.send(sender=self.worker)

    def description(self):
        """Return what the worker is told: the tasks, and settings that both sides have to share."""
        tasks = self.app.tasks.items()
        return {
            "tasks": {name: _options(task) for name, task in sorted(tasks)},
            "conf": _conf(self.app),
            "python": sys.version.split()[0],
            "celery": _version(),
        }


def load(settings):
    """Import the application that the settings name, and set it up as a Celery worker does."""
    _directory_first()
    for name in settings.get("preload", ()):
        __import__(name)
    app = find_app(settings["app"])
    hostname = settings["hostname"]
    app.set_current()
    app.set_default()
    worker = Worker(app, hostname, settings["processes"])
    signals.celeryd_init.send(sender=hostname, instance=worker, conf=app.conf, options={})
    logs.before_import(app, _level(settings), hostname)
    signals.worker_init.send(sender=worker)
    app.loader.init_worker()
    app.finalize()
    trace.setup_worker_optimizations(app, hostname)
    transport.install(app, settings)
    backend.install(app)
    _build_tracers(app, hostname)
    return Loaded(app, hostname, settings, worker)


def _directory_first():
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def _level(settings):
    return {"debug": logging.DEBUG, "warn": logging.WARNING, "error": logging.ERROR}.get(
        settings.get("log"), logging.INFO
    )


def _version():
    import celery

    return celery.__version__


def _build_tracers(app, hostname):
    """Build what runs each task once, for all children."""
    # The worker tells of each end itself; what fails is logged here too, with its traceback.
    trace.logger.setLevel(max(trace.logger.getEffectiveLevel(), logging.WARNING))
    with phases.noticed():
        for name, task in app.tasks.items():
            task.__trace__ = trace.build_tracer(name, task, app.loader, hostname, app=app)


def _options(task):
    return {
        "rate_limit": _rate(task.rate_limit),
        "time_limit": _number(task.time_limit),
        "soft_time_limit": _number(task.soft_time_limit),
        "ignore_result": bool(task.ignore_result),
        "store_errors_even_if_ignored": bool(task.store_errors_even_if_ignored),
        "acks_late": bool(task.acks_late),
        "reject_on_worker_lost": task.reject_on_worker_lost,
    }


def _rate(rate):
    return None if rate is None else str(rate)


def _number(value):
    return float(value) if isinstance(value, (int, float)) else None


def _conf(app):
    expires = getattr(app.backend, "expires", None)
    return {
        "broker": transport.address(app),
        "backend": type(app.backend).__module__ + "." + type(app.backend).__name__,
        "ours": isinstance(app.backend, backend.Backend),
        "queues": [
            name
            for name, queue in app.amqp.queues.items()
            if queue.exchange is None or queue.exchange.type != "fanout"
        ],
        "result_expires": _number(expires),
    }
