"""What happens in Redis while a recording runs: every published state and every event, in the order
they came.
"""

import base64
import json
import threading
import time

import redis

META = "celery-task-meta-"
FINAL = {"SUCCESS", "FAILURE", "REVOKED"}


class Watch:
    """Listens from its making until `stop`."""

    def __init__(self, url):
        self.redis = redis.Redis.from_url(url)
        self.states = {}
        self.payloads = {}
        self.events = []
        self.last = time.monotonic()
        self._changed = threading.Condition()
        self._listener = self.redis.pubsub(ignore_subscribe_messages=True)
        self._listener.psubscribe(**{META + "*": self._result, "/*.celeryev/*": self._event})
        self._thread = self._listener.run_in_thread(sleep_time=0.05, daemon=True)

    def stop(self):
        self._thread.stop()
        self._thread.join()

    def _result(self, message):
        task_id = message["channel"].decode().removeprefix(META)
        with self._changed:
            self.last = time.monotonic()
            status = json.loads(message["data"])["status"]
            self.states.setdefault(task_id, []).append(status)
            self.payloads[task_id] = message["data"]
            self._changed.notify_all()

    def _event(self, message):
        with self._changed:
            envelope = json.loads(message["data"])
            body = json.loads(base64.b64decode(envelope["body"]))
            self.events.append((message["channel"].decode(), body))
            self._changed.notify_all()

    def until(self, condition, within):
        """Waits until `condition()` holds, and returns whether it does; it is looked at on each
        message.
        """
        deadline = time.monotonic() + within
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.2))
        return True

    def is_final(self, task_id):
        return bool(FINAL.intersection(self.states.get(task_id, ())))

    def final(self, task_ids, within):
        """Waits until all these tasks have ended."""
        return self.until(lambda: all(map(self.is_final, task_ids)), within)

    def quiet(self, queues, seconds, within):
        """Waits until the queues have been empty, and no state was published, for so long."""

        def still():
            waiting = any(self.redis.llen(queue + step) for queue in queues for step in ("", "\x06\x163", "\x06\x166", "\x06\x169"))
            if waiting:
                self.last = time.monotonic()
            return time.monotonic() - self.last >= seconds

        return self.until(still, within)
