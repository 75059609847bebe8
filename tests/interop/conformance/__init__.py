"""A conformance suite for workers that speak Celery's protocol over Redis; `README.md` beside this
folder tells how to use it.
"""
