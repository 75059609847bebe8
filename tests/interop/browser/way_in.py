"""A login, a refusal, and somebody who may only read."""

import os

from .dashboard import Dashboard, browser


def refused(browser):
    dashboard = Dashboard(browser)
    dashboard.page.goto(dashboard.base + "/queues?a=b")
    page = dashboard.page
    assert page.url.endswith("/login?next=/queues%3Fa%3Db"), page.url
    page.get_by_label("Token").fill("0" * 64)
    page.get_by_role("button", name="Log in").click()
    said = page.locator("main .error").inner_text()
    assert "no such token" in said, said
    assert page.locator("header nav a").count() == 0, "nobody in particular sees no menu"
    page.get_by_label("Token").fill(os.environ["TOKEN"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/queues?a=b")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    dashboard.go("/login")
    page.goto(dashboard.base + "/queues")
    assert "/login" in page.url, page.url
    dashboard.context.close()
    return said


def reader(browser):
    dashboard = Dashboard(browser, os.environ["READER"])
    seen = []
    for path in os.environ["PAGES"].split():
        dashboard.go(path)
        buttons = dashboard.page.locator("main form[method=post] button").all_inner_texts()
        assert buttons == [], f"{path}: a reader finds {buttons}"
        seen.append(path)
    # What the page does not offer is refused all the same.
    answer = dashboard.page.evaluate(
        """async () => (await fetch("/do", {method: "POST", body: new URLSearchParams(
            {what: "pause-queue", name: "celery"})})).status"""
    )
    assert answer == 403, answer
    dashboard.context.close()
    return seen


def play():
    with browser() as chromium:
        return {"said": refused(chromium), "reader": reader(chromium)}
