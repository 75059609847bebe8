"""The same task by `django.tasks`, without Celery. TASKS in the settings says which one it is."""

try:
    from django.tasks import task
except ModuleNotFoundError:
    from django_tasks import task


@task
def refresh(keyword, location=None, force=False): ...
