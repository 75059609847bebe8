"""What became of a case's tasks, in a form that two recordings can be compared in.

Ids become their number in the case (`#3`), ids that a worker drew become `new1`, `new2`, … in the
order in which a walk over the tasks meets them; times become their form, node names and process ids
become words. Nothing else is changed.
"""

import json
import re

from celery.result import AsyncResult, GroupResult

from . import ids
from .watch import META

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
GROUP = "celery-taskset-meta-"


def handles(value):
    """Returns the ids that a result handle knows: (all of them, those to wait for)."""
    if isinstance(value, (list, tuple)):
        pairs = [handles(one) for one in value]
        return set().union(*(known for known, _ in pairs)), set().union(*(leaves for _, leaves in pairs))
    known = set()
    if isinstance(value, GroupResult):
        known, leaves = handles(value.results)
    elif isinstance(value, AsyncResult):
        known, leaves = {value.id}, {value.id}
    else:
        return set(), set()
    if value.parent is not None:
        known |= handles(value.parent)[0]
    return known, leaves


def read_all(client):
    """Reads every result and every group key: ({id: raw}, {key: [type, content]}, {key: TTL})."""
    keys = sorted(key.decode() for key in client.scan_iter(match="celery-task*meta-*", count=1000))
    ttl = {key: client.ttl(key) for key in keys}
    # A claim of who continues a chord may end between the two looks.
    keys = [key for key in keys if ttl[key] != -2]
    metas = {key.removeprefix(META): client.get(key) for key in keys if key.startswith(META)}
    groups = {key.removeprefix(GROUP): _content(client, key) for key in keys if key.startswith(GROUP)}
    groups = {key: content for key, content in groups.items() if content != ["none"]}
    return metas, groups, ttl


def _content(client, key):
    kind = client.type(key).decode()
    if kind == "string":
        return [kind, client.get(key).decode()]
    if kind == "zset":
        return [kind, [json.loads(member) for member in client.zrange(key, 0, -1)]]
    if kind == "set":
        return [kind, sorted(member.decode() for member in client.smembers(key))]
    return [kind]


def lifetime(seconds):
    """Tells a TTL by its size: results live for a day, what a finished chord leaves for some
    minutes.
    """
    if seconds < 0:
        return "for ever"
    sizes = {"seconds": range(0, 11), "5 minutes": range(200, 301), "a day": range(80_000, 86_401)}
    return next((name for name, size in sizes.items() if seconds in size), f"{seconds} s")


def _related(meta):
    """Returns the ids that a stored result names: its parent and its children."""
    text = json.dumps([meta.get("parent_id"), meta.get("children"), meta.get("group_id")])
    return ids.ANY.findall(text)


class Recorded:
    """All that stood in Redis at the end of the message cases."""

    def __init__(self, client, watch):
        self.metas, self.groups, self.ttl = read_all(client)
        self.decoded = {task_id: json.loads(raw) for task_id, raw in self.metas.items()}
        self.watch = watch
        self.children = {}
        for task_id, meta in self.decoded.items():
            if meta.get("parent_id"):
                self.children.setdefault(meta["parent_id"], []).append(task_id)

    def members(self, case, known):
        """Returns the ids of a case's tasks: those that the client drew and handed out or that have
        a result, and all that descend from them."""
        found = set(known)
        found.update(task_id for task_id in self.decoded if (ids.number(task_id) or (None,))[0] == case)
        front = list(found)
        while front:
            task_id = front.pop()
            meta = self.decoded.get(task_id, {})
            related = [child for child in ids.ANY.findall(json.dumps(meta.get("children"))) if child in self.decoded]
            for child in related + self.children.get(task_id, []):
                if child not in found:
                    found.add(child)
                    front.append(child)
        return found

    def outcome(self, case, known):
        """Returns what became of a case."""
        members = self.members(case, known)
        names = Names(case, members, self.decoded, self.children)
        tasks = {names(task_id): self._task(task_id, names) for task_id in names.order}
        groups = {}
        for key, content in self.groups.items():
            group_id, _, suffix = key.partition(".")
            if (ids.number(group_id) or (None,))[0] == case:
                shown = names.text(json.dumps(content))
                lives = lifetime(self.ttl[GROUP + key])
                # A claim of who continues a chord: whether it has ended yet is chance.
                if lives != "seconds":
                    groups[f"{names(group_id)}.{suffix}"] = [json.loads(shown), lives]
        return {"tasks": tasks, "group keys": groups}

    def _task(self, task_id, names):
        states = self.watch.states.get(task_id, [])
        if task_id not in self.decoded:
            return {"status": "no result", "published": states}
        meta = self._with_own_children(self._with_any_last_part(self.decoded[task_id]))
        meta = json.loads(names.text(json.dumps(meta)))
        meta["date_done"] = None if meta["date_done"] is None else TIME.sub(_time_form, meta["date_done"])
        meta["traceback"] = None if meta["traceback"] is None else "text"
        if "worker" in meta:
            meta["worker"] = "the node"
        if meta["status"] == "STARTED":
            meta["result"] = sorted(meta["result"])
        meta["published"] = states
        meta["lifetime"] = lifetime(self.ttl[META + task_id])
        meta["published as stored"] = self.watch.payloads.get(task_id) == self.metas[task_id]
        return meta

    def _with_any_last_part(self, meta):
        """Replaces the parent of a chord's body, which is whichever part ended last, by the chord."""
        parent_id = meta.get("parent_id")
        parent = self.decoded.get(parent_id, {})
        is_child = meta["task_id"] in ids.ANY.findall(json.dumps(parent.get("children")))
        if parent.get("status") != "SUCCESS" or "group_id" not in parent or is_child:
            return meta
        last = f"a part of {parent['group_id']}"
        told = meta["result"]
        if isinstance(told, dict):
            told = {key: last if value == parent_id else value for key, value in told.items()}
        return meta | {"parent_id": last, "result": told}

    def _with_own_children(self, meta):
        """Leaves out the children that another task published.

        Celery lists, for a task that failed without having begun, those of the task that its
        process ran at the time.
        """
        if "STARTED" in self.watch.states.get(meta["task_id"], []) or not meta["children"]:
            return meta
        parents = [self.decoded.get(child[0][0], {}).get("parent_id") for child in meta["children"]]
        own = [child for child, parent in zip(meta["children"], parents) if parent in (None, meta["task_id"])]
        return meta | {"children": own}


def _time_form(match):
    return "time " + (match[2] or "without offset")


class Names:
    """Gives the tasks of a case their names: `#3` those that the client drew, `#3/1` the first that
    `#3` made anew.
    """

    def __init__(self, case, members, decoded, children):
        self.case, self.members, self.decoded, self.children = case, members, decoded, children
        self.given = {}
        self.order = []
        # By group id: the member that names a group whose id a worker drew.
        self.named_by = {}
        ours = sorted((task_id for task_id in members if ids.number(task_id)), key=ids.number)
        for task_id in ours:
            self._visit(task_id)
        for task_id in sorted(members - set(self.order), key=self._shape):
            self._visit(task_id)
        for task_id in self.order:
            group_id = decoded.get(task_id, {}).get("group_id")
            if group_id and not ids.number(group_id):
                self.named_by.setdefault(group_id, task_id)
        for group_id, task_id in self.named_by.items():
            self.given[group_id] = f"group of {self(task_id)}"

    def _visit(self, task_id):
        if task_id in self.order:
            return
        self.order.append(task_id)
        listed = ids.ANY.findall(json.dumps(self.decoded.get(task_id, {}).get("children")))
        own = [child for child in listed if self.decoded.get(child, {}).get("parent_id", task_id) == task_id]
        others = sorted(self.children.get(task_id, []), key=self._shape)
        made = [child for child in dict.fromkeys(own + others) if child in self.members and not ids.number(child)]
        for n, child in enumerate(made, 1):
            self.given.setdefault(child, f"{self(task_id)}/{n}")
            self._visit(child)

    def _shape(self, task_id):
        """What a task looks like without its ids: the order of siblings that nothing else orders."""

        def known(match):
            return match[0] if ids.number(match[0]) else "-"

        meta = self.decoded.get(task_id, {})
        return TIME.sub("", ids.ANY.sub(known, json.dumps(meta, sort_keys=True)))

    def __call__(self, task_id):
        numbered = ids.number(task_id)
        if numbered:
            return f"#{numbered[1]}" if numbered[0] == self.case else f"case {numbered[0]} #{numbered[1]}"
        return self.given.setdefault(task_id, f"new{len(self.given) + 1}")

    def text(self, text):
        return ids.ANY.sub(lambda match: self(match[0]), text)
