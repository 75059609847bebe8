"""The dashboard in a browser: pages without complaints, and what is asked of its API besides."""

import contextlib
import os
import shutil
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

# How long anything may take, milliseconds. Generous: it only delays failures.
SOON = 60_000
# What Debian, Fedora and others call it.
PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "chrome"]

WIDE = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}


def chromium():
    """Returns where Chromium is."""
    return next(filter(None, map(shutil.which, PROGRAMS)))


class Dashboard:
    """A window on the dashboard. Whatever the browser complains of is kept in `complaints`."""

    def __init__(self, browser, token="", theme="light", size=WIDE):
        self.base = os.environ["DASHBOARD"].rstrip("/")
        self.token = token
        self.complaints = []
        self.context = browser.new_context(color_scheme=theme, viewport=size)
        self.context.set_default_timeout(SOON)
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("response", self._answered)
        if token:
            self.log_in(token)

    def _said(self, message):
        # What could not be loaded is told of by `_answered`, with its status.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _answered(self, response):
        # A page may be refused in words; nothing that it is made of may be missing.
        is_refusal = response.request.is_navigation_request() and response.status < 500
        if response.status >= 400 and not is_refusal:
            self.complaints.append(f"{response.url}: {response.status}")

    def log_in(self, token):
        self.go("/login")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(self.base + "/")

    def go(self, path):
        """Opens a page and waits until it stands."""
        self.page.goto(self.base + path, wait_until="load")
        self.page.locator("main h1").wait_for()

    def api(self, method, path, body=None, **query):
        """Asks the API; what is not answered with success fails the scenario."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        address = f"{self.base}/api/v1{path}" + ("?" + urlencode(query) if query else "")
        answer = self.context.request.fetch(address, method=method, headers=headers, data=body)
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        return answer.json()

    def publish(self, task, *args, **options):
        """Publishes a task and returns its id."""
        return self.api("POST", "/tasks", {"task": task, "args": args, **options})["id"]

    def ended(self, task_id):
        """Waits for a task's end and returns its state."""
        for _ in range(10):
            found = self.api("GET", f"/tasks/{task_id}/result", wait=10)
            if found["ready"]:
                return found["state"]
        raise AssertionError(f"{task_id} has not ended")

    def until(self, what, probe):
        """Asks again and again until it is so, and returns what it is."""
        for _ in range(SOON // 200):
            if found := probe():
                return found
            self.page.wait_for_timeout(200)
        raise AssertionError(f"not so in time: {what}")

    def row(self, text):
        """Returns the table's row with this text."""
        return self.page.locator("tbody tr", has_text=text)

    def sure(self):
        """Says yes on the page that asks, and returns what it asked."""
        question = self.page.locator("main form p").inner_text()
        self.page.get_by_role("button", name="Yes, do it").click()
        return question


@contextlib.contextmanager
def browser():
    """A Chromium for one scenario."""
    with sync_playwright() as playwright:
        # As root there is no sandbox; what it shows is our own.
        started = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield started
        finally:
            started.close()
