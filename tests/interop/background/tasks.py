"""The tasks that the project enqueues; a body here must never run."""

try:
    from django.tasks import task
except ModuleNotFoundError:
    from django_tasks import task


@task(task_name="job_scraper.tasks.get_scraping_status")
def status():
    raise AssertionError("run by Python")


@task(task_name="job_scraper.tasks.scrape_specific_keyword")
def scrape(keyword, location=None, force=False):
    raise AssertionError("run by Python")


@task
def nap(seconds):
    raise AssertionError("run by Python")


@task(task_name="e2e.panic", takes_context=True)
async def panic(context):
    raise AssertionError("run by Python")


@task
def third_time():
    raise AssertionError("run by Python")


third_time = third_time.using(task_name="e2e.third_time")


@task
def nowhere(*args, **kwargs):
    """Has no name but its own, and no worker knows it."""
    raise AssertionError("run by Python")
