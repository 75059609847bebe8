"""kombu's transport by way of the worker: what a task publishes needs no connection of its own."""

import os
from queue import Empty

import kombu.transport
from kombu.exceptions import OperationalError
from kombu.transport import virtual
from kombu.utils.json import dumps, loads

from . import parent, phases

_SCHEME = "rhubarb-pool"
_database = 0


class Channel(virtual.Channel):
    """A channel whose queues are the worker's."""

    supports_fanout = True
    do_restore = False

    def _put(self, queue, message, **_):
        properties = message.get("properties", {})
        one = {"queue": queue, "priority": properties.get("priority") or 0}
        body = dumps(message).encode()
        run = phases.current
        if run is not None and run.keeps(message):
            run.messages.append((one, body))
            return
        _ask({"kind": "publish", "messages": [one]}, [body])

    def _put_fanout(self, exchange, message, routing_key, **_):
        topic = f"/{_database}.{exchange}"
        _redis([["PUBLISH", topic, dumps(message)]])

    def _queue_bind(self, exchange, routing_key, pattern, queue):
        member = "\x06\x16".join([routing_key or "", pattern or "", queue or ""])
        _redis([["SADD", f"_kombu.binding.{exchange}", member]])

    def get_table(self, exchange):
        """Return what is bound to an exchange, by whomever."""
        [members] = _redis([["SMEMBERS", f"_kombu.binding.{exchange}"]])
        return [tuple(member.decode().split("\x06\x16")) for member in members]

    def _get(self, queue, timeout=None):
        [found] = _redis([["RPOP", queue]])
        if found is None:
            raise Empty()
        return loads(found.decode())

    def _size(self, queue):
        return _redis([["LLEN", queue]])[0]

    def _purge(self, queue):
        size, _ = _redis([["LLEN", queue], ["DEL", queue]])
        return size

    def _delete(self, queue, exchange, routing_key, pattern, *args, **kwargs):
        member = "\x06\x16".join([routing_key or "", pattern or "", queue or ""])
        _redis([["SREM", f"_kombu.binding.{exchange}", member], ["DEL", queue]])


class Transport(virtual.Transport):
    """The transport of the scheme ``rhubarb-pool``."""

    Channel = Channel
    default_port = 0
    driver_type = "redis"
    driver_name = "rhubarb"
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def driver_version(self):
        """Return a version, as kombu's tools ask for one."""
        return "0"


def _ask(head, parts):
    try:
        return parent.ask(head, parts)
    except parent.Refused as error:
        raise OperationalError(str(error)) from error


def _redis(commands):
    try:
        return parent.redis("queue", commands)
    except parent.Refused as error:
        raise OperationalError(str(error)) from error


def install(app, settings):
    """Have an application publish by way of the worker, but in processes that its tasks fork."""
    global _database
    _database = settings.get("database", 0)
    kombu.transport.TRANSPORT_ALIASES[_SCHEME] = __name__ + ":Transport"

    def by_the_worker(original):
        def connection(url=None, **kwargs):
            if url is None and parent.is_here():
                kwargs.update(transport=_SCHEME, ssl=False)
                return app._connection(f"{_SCHEME}://worker", **kwargs)
            return original(url, **kwargs)

        return connection

    app.connection_for_write = by_the_worker(app.connection_for_write)
    app.connection_for_read = by_the_worker(app.connection_for_read)
    forget(app)
    os.register_at_fork(after_in_child=lambda: parent.is_here() or forget(app))


def address(app):
    """Return where the application's own broker is, without secrets; ``None`` for no Redis."""
    broker = app._connection(app.conf.broker_read_url)
    if broker.transport_cls not in ("redis", "rediss"):
        return None
    database = str(broker.virtual_host or 0).strip("/") or "0"
    return {
        "host": broker.hostname or "localhost",
        "port": broker.port or 6379,
        "database": int(database) if database.isdigit() else 0,
    }


def forget(app):
    """Forget the connections that were made so far."""
    app._pool = None
    amqp = app.__dict__.get("amqp")
    if amqp is not None:
        amqp._producer_pool = None
