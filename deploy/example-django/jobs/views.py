from urllib.parse import urlencode

from celery.result import AsyncResult
from django.core.cache import caches
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from jobs.tasks import scrape_specific_keyword


def index(request):
    """Shows what the worker has written: Django reads its own caches, and asks nobody."""
    keyword = request.GET.get("keyword") or "python developer"
    listings = caches["jobs"].get("jobs:" + keyword.strip().lower().replace(" ", "_"))
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    page = {
        "keyword": keyword,
        "listings": listings,
        "status": caches["default"].get("scraping_status"),
        "task": request.session.get("task"),
        "visits": visits,
    }
    return render(request, "jobs/index.html", page)


@require_POST
def scrape(request):
    """Has the worker scrape a keyword, by Celery as it is."""
    keyword = request.POST["keyword"]
    sent = scrape_specific_keyword.delay(keyword, force=True)
    request.session["task"] = sent.id
    return redirect("/?" + urlencode({"keyword": keyword}))


def task(request, id):
    """Says how a task stands, from the result that the worker stores."""
    result = AsyncResult(str(id))
    returned = result.result if result.successful() else None
    return JsonResponse({"state": result.state, "result": returned})
