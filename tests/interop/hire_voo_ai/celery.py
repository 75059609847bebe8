import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hire_voo_ai.settings")

app = Celery("hire_voo_ai")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
