"""The tasks of Rhubarb's worker, as Celery calls them.

They run in the worker: the bodies here never do. A project that has them in Python already leaves
them as they are.
"""

from celery import shared_task


@shared_task(name="job_scraper.tasks.scrape_specific_keyword")
def scrape_specific_keyword(keyword, location=None, force=False): ...
