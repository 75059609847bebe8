"""What a Django view does: `delay()` for each keyword, then `get()`. Prints {keyword: result}."""

import json
import sys

import hire_voo_ai  # noqa: F401  (makes the Celery application current, as Django's start does)
from job_scraper.tasks import scrape_specific_keyword

asked = {keyword: scrape_specific_keyword.delay(keyword) for keyword in sys.argv[1:]}
print(json.dumps({keyword: result.get(timeout=60) for keyword, result in asked.items()}))
