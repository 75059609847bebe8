"""Every page in both themes, on a desk and on a phone, with eyes, by keyboard and for axe."""

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

from .dashboard import PHONE, WIDE, Dashboard, browser

# Where pictures go; nowhere without it.
PICTURES = os.environ.get("RHUBARB_TEST_SCREENSHOTS")
# What axe finds that keeps people out.
SERIOUS = {"serious", "critical"}


def pages(dashboard):
    """Returns what the menu leads to, and pages behind it."""
    dashboard.go("/")
    menu = dashboard.page.locator("header nav a").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    return menu + os.environ["PAGES"].split()


def complaints_of_axe(dashboard):
    found = Axe().run(dashboard.page).response["violations"]
    return [
        f"{dashboard.page.url}: axe: {one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def too_wide(page):
    """Tells by how many pixels a page is wider than its window, and what is."""
    return page.evaluate(
        """() => {
            const most = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= most) return null;
            const wide = [...document.querySelectorAll("body *")].filter(
                one => !one.closest(".wide") && one.getBoundingClientRect().right > most + 1);
            return wide.map(one => one.outerHTML.slice(0, 100)).slice(0, 3).join(" | ");
        }"""
    )


def picture(dashboard, path, mode):
    if PICTURES:
        name = "".join(c if c.isalnum() else "-" for c in path.strip("/")) or "overview"
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        dashboard.page.screenshot(path=f"{PICTURES}/{name[:60]}.{mode}.png", full_page=True)


def at_every_page(browser, theme, size, mode):
    token = os.environ.get("TOKEN", "")
    dashboard = Dashboard(browser, token, theme, size)
    wrong = []
    all_pages = pages(dashboard)
    for path in all_pages:
        dashboard.go(path)
        picture(dashboard, path, mode)
        wrong += complaints_of_axe(dashboard)
        if wide := too_wide(dashboard.page):
            wrong.append(f"{path} scrolls sideways at {size['width']}: {wide}")
    wrong += dashboard.complaints
    dashboard.context.close()
    return all_pages, wrong


def by_keyboard(browser):
    """The first Tab skips to the content; the menu is reached and followed without a mouse."""
    dashboard = Dashboard(browser, os.environ.get("TOKEN", ""))
    dashboard.go("/")
    page = dashboard.page
    focus = "document.activeElement.textContent.trim()"
    page.keyboard.press("Tab")
    assert page.evaluate(focus) == "Skip to the content", page.evaluate(focus)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    dashboard.go("/")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(focus))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"the focus on {seen[-1]} is not seen"
        if seen[-1] == "Queues":
            break
    assert seen[-1] == "Queues", seen
    page.keyboard.press("Enter")
    page.wait_for_url("**/queues")
    # The theme's button, and that it is remembered.
    button = page.get_by_role("button", name="Light or dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    button.focus()
    page.keyboard.press("Enter")
    after = page.evaluate(paper)
    assert before != after, before
    dashboard.go("/workers")
    assert page.evaluate(paper) == after
    page.go_back()
    page.wait_for_url("**/queues")
    assert not dashboard.complaints, dashboard.complaints
    dashboard.context.close()


def play():
    with browser() as chromium:
        seen, wrong = [], []
        for theme, size, mode in [
            ("light", WIDE, "light"),
            ("dark", WIDE, "dark"),
            ("light", PHONE, "phone"),
        ]:
            seen, found = at_every_page(chromium, theme, size, mode)
            wrong += found
        by_keyboard(chromium)
        assert not wrong, "\n".join(wrong)
        return {"pages": seen}
