"""Visits the page of deploy/example-django as a person does: has a keyword scraped, waits for the
task, and looks again. argv: the site's address, a keyword. Prints what was seen.
"""

import json
import re
import sys
import time

import requests

site, keyword = sys.argv[1:]
session = requests.Session()


def page(query=""):
    answer = session.get(f"{site}/{query}", timeout=30)
    answer.raise_for_status()
    return answer.text


token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page()).group(1)
form = {"csrfmiddlewaretoken": token, "keyword": keyword}
after = session.post(f"{site}/scrape", data=form, timeout=30)
after.raise_for_status()
task = re.search(r'href="(/tasks/[^"]+)"', after.text).group(1)

deadline = time.monotonic() + 60
while True:
    ended = session.get(f"{site}{task}", timeout=30).json()
    if ended["state"] == "SUCCESS" or time.monotonic() > deadline:
        break
    time.sleep(0.1)

text = page("?" + requests.compat.urlencode({"keyword": keyword}))
titles = re.findall(r"<tr><td><a href=\"[^\"]*\">([^<]*)</a>", text)
visits = re.search(r"You were here (\d+) times", text).group(1)
print(json.dumps({"task": ended, "titles": titles, "visits": int(visits)}))
