"""A Django project without Celery: its background tasks are those of `django.tasks`, and Rhubarb
runs them.
"""
