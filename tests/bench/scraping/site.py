"""A site of prebuilt bytes: job boards in Greenhouse's form, or pages of postings with JSON-LD.

It runs beside what is measured, in a process whose CPU is not counted. `/hits` answers how many
requests came and how many of them a 304 answered.
"""

import asyncio
import html
import json
import random
import sys

POSTINGS = 240
KINDS = 16
WORDS = (
    "you will build and run the systems that our customers trust every day with a team that "
    "shares what it knows keeps its promises and measures before it changes anything we look for "
    "people who write clear code ask early and care for those who use what they make benefits "
    "include time to learn health cover a pension and thirty days of holiday"
).split()
OTHERS = "baker florist carpenter nurse driver teacher plumber surveyor translator gardener".split()


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words)).capitalize() + "."


def description(chance: random.Random) -> str:
    paragraphs = "".join(f"<p>{sentence(chance, 45)}</p>" for _ in range(6))
    points = "".join(f"<li>{sentence(chance, 12)}</li>" for _ in range(8))
    return f"<h3>About the work</h3>{paragraphs}<ul>{points}</ul>"


def title(chance: random.Random, keywords: list[str]) -> str:
    """One in eight is what somebody looks for."""
    if chance.random() < 1 / 8:
        return f"Senior {chance.choice(keywords).title()}"
    return f"{chance.choice(OTHERS).title()} {chance.choice(WORDS)} {chance.randrange(1000)}"


def board(seed: int, keywords: list[str]) -> bytes:
    chance = random.Random(seed)
    jobs = [
        {
            "id": 4_000_000_000 + seed * POSTINGS + idx,
            "title": title(chance, keywords),
            "absolute_url": f"https://boards.example/acme/jobs/{seed * POSTINGS + idx}",
            "updated_at": f"2026-11-{1 + idx % 28:02}T09:12:44-05:00",
            "first_published": f"2026-10-{1 + idx % 28:02}T09:12:44-05:00",
            "location": {"name": chance.choice(["Lisbon, Portugal", "Berlin", "Remote (EU)"])},
            "departments": [{"id": 1, "name": "Engineering"}],
            "offices": [{"id": 2, "name": "Lisbon", "location": "Lisbon, Portugal"}],
            "content": html.escape(description(chance)),
        }
        for idx in range(POSTINGS)
    ]
    return json.dumps({"jobs": jobs, "meta": {"total": POSTINGS}}).encode()


def page(number: int) -> bytes:
    chance = random.Random(number)
    posting = {
        "@context": "https://schema.org/",
        "@type": "JobPosting",
        "title": f"Data engineer {number}",
        "identifier": {"@type": "PropertyValue", "value": str(number)},
        "datePosted": "2026-11-02",
        "employmentType": "FULL_TIME",
        "hiringOrganization": {"@type": "Organization", "name": f"Company {number % 97}"},
        "jobLocation": {"@type": "Place", "address": {"addressLocality": "Lisbon"}},
        "description": description(chance),
    }
    around = "".join(
        f"<div class=row><a href=/job/{n}>{sentence(chance, 6)}</a>"
        f"<p>{sentence(chance, 20)}</p></div>"
        for n in range(60)
    )
    return (
        f"<!doctype html><html lang=en><head><title>Job {number}</title>"
        f"<script type='application/ld+json'>{json.dumps(posting)}</script></head>"
        f"<body><nav>{around}</nav><main><h1>Data engineer {number}</h1>"
        f"<div class=company>Company {number % 97}</div><div class=place>Lisbon</div>"
        f"<article>{description(chance)}</article></main></body></html>"
    ).encode()


def whole(kind: str, body: bytes, tag: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"ETag: {tag}"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Site(asyncio.Protocol):
    """Answers requests, several on one connection."""

    boards: list[bytes] = []
    pages: list[bytes] = []
    asked = unchanged = 0

    def connection_made(self, transport):
        self.transport, self.rest = transport, b""

    def data_received(self, data):
        self.rest += data
        while b"\r\n\r\n" in self.rest:
            head, self.rest = self.rest.split(b"\r\n\r\n", 1)
            self.transport.write(self.answer(head))

    def answer(self, head: bytes) -> bytes:
        path = head.split(b" ", 2)[1].split(b"?")[0].decode()
        parts = path.strip("/").split("/")
        if path == "/hits":
            body = json.dumps([Site.asked, Site.unchanged]).encode()
            return whole("application/json", body, '"hits"')
        if path == "/robots.txt":
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        Site.asked += 1
        if b"if-none-match" in head.lower():
            Site.unchanged += 1
            return b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\n\r\n'
        if parts[0] == "job":
            return Site.pages[int(parts[1]) % len(Site.pages)]
        # /v1/boards/b12/jobs, or as an index before it.
        number = int(next(part for part in parts if part[:1] == "b" and part[1:].isdigit())[1:])
        return Site.boards[number % len(Site.boards)]


async def main(pages: int, keywords: list[str]):
    if pages:
        Site.pages = [whole("text/html; charset=utf-8", page(n), '"one"') for n in range(pages)]
    else:
        made = (board(seed, keywords) for seed in range(KINDS))
        Site.boards = [whole("application/json", body, '"one"') for body in made]
    server = await asyncio.get_running_loop().create_server(Site, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), json.loads(sys.argv[2])))
