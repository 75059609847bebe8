"""A job board of our own, so that the example asks nobody else: rhubarb.toml has it as a source."""

from datetime import UTC, datetime

from django.http import JsonResponse

POSTINGS = [
    ("py-1", "Python developer", "Berlin", 70_000),
    ("py-2", "Senior Python developer (remote)", "Remote", 90_000),
    ("rs-1", "Rust engineer", "Lisbon", 80_000),
    ("ds-1", "Data scientist", "Prague", 75_000),
]


def postings(request):
    today = datetime.now(UTC).date().isoformat()
    jobs = [
        {"id": id, "title": title, "city": city, "pay": pay, "published": today}
        for id, title, city, pay in POSTINGS
    ]
    return JsonResponse({"jobs": jobs})
