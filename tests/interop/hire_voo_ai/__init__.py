"""A Django project as Rhubarb's users have it; only what touches Celery and Redis."""

from .celery import app as celery_app

__all__ = ["celery_app"]
