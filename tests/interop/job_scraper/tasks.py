"""The tasks that the Django application enqueues. Rhubarb's worker runs them; a body here must
never run.
"""

from celery import shared_task


@shared_task
def scrape_jobs_hourly():
    raise AssertionError("run by Python")


@shared_task
def scrape_specific_keyword(keyword, location=None, force=False):
    raise AssertionError("run by Python")


@shared_task
def get_scraping_status():
    raise AssertionError("run by Python")


@shared_task
def clear_cache_task():
    raise AssertionError("run by Python")


@shared_task
def refresh_proxies():
    raise AssertionError("run by Python")


@shared_task(name="python.echo")
def echo(*args, **kwargs):
    """Runs in Python: for tests in which a real Celery worker takes what Rhubarb publishes."""
    return {"args": list(args), "kwargs": kwargs, "by": "python"}
