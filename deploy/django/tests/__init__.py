"""Checks of the parts that need no Redis: `python -m unittest discover -t . -s tests` in this
folder.
"""

import django
from django.conf import settings

settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=[] if django.VERSION >= (6,) else ["django_tasks"],
    TASKS={"default": {"BACKEND": "rhubarb_tasks.backend.RhubarbBackend"}},
)
django.setup()
