"""What an operator does: watches, finds out why, retries, pauses, and runs a schedule now."""

import os

from .dashboard import Dashboard, browser


def chart_moves(dashboard):
    """An open page shows by itself that tasks ran."""
    page = dashboard.page
    dashboard.go("/")
    bars = page.locator("svg.chart rect.good")
    before = bars.evaluate_all("all => all.map(one => one.outerHTML).join()")
    ids = [dashboard.publish("e2e.sleep", 0) for _ in range(20)]
    assert {dashboard.ended(one) for one in ids} == {"SUCCESS"}
    page.wait_for_function(
        """before => [...document.querySelectorAll("svg.chart rect.good")]
            .map(one => one.outerHTML).join() !== before""",
        arg=before,
    )
    assert bars.count() > 0


def dead_letter_runs(dashboard):
    """A dead letter is retried by its own tick, and runs."""
    page = dashboard.page
    dead = os.environ["DEAD"]
    dashboard.go("/letters")
    dashboard.row(dead).get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry those ticked").click()
    asked = dashboard.sure()
    assert "1" in asked, asked
    assert dashboard.ended(dead) == "SUCCESS"


def group_runs(dashboard):
    """All of a group are retried at once, after their number was said."""
    page = dashboard.page
    dashboard.go("/letters")
    group = dashboard.page.locator("section[aria-labelledby=groups] tbody tr")
    assert group.count() == 1, group.all_inner_texts()
    group.get_by_role("button", name="Retry").click()
    asked = page.locator("main form p").inner_text()
    parts = os.environ["GROUP"].split()
    assert f"{len(parts)} of them" in asked, asked
    page.get_by_role("link", name="No, go back").click()
    page.wait_for_url("**/letters?kind=dead")
    group.get_by_role("button", name="Retry").click()
    dashboard.sure()
    for one in parts:
        assert dashboard.ended(one) == "SUCCESS", one


def paused_queue_holds(dashboard):
    page = dashboard.page
    dashboard.go("/queues")
    dashboard.row("celery").get_by_role("button", name="Pause").click()
    dashboard.row("celery").locator(".tag", has_text="paused").wait_for()
    held = dashboard.publish("e2e.sleep", 0)
    says(dashboard, held, "is paused")
    page.wait_for_timeout(1_500)
    assert not dashboard.api("GET", f"/tasks/{held}/result")["ready"], "it ran in a paused queue"
    dashboard.go("/queues")
    dashboard.row("celery").get_by_role("button", name="Resume").click()
    assert dashboard.ended(held) == "SUCCESS"


def schedule(dashboard):
    """A schedule is paused with a note, goes on, and is run now."""
    page = dashboard.page
    dashboard.go("/schedules")
    row = dashboard.row("nightly")
    row.get_by_placeholder("why").fill("the shop is closed")
    row.get_by_role("button", name="Pause").click()
    row.locator(".tag", has_text="the shop is closed").wait_for()
    row.get_by_role("button", name="Resume").click()
    row.get_by_role("button", name="Pause").wait_for()
    row.get_by_role("button", name="Run now").click()
    page.locator("main h1").wait_for()

    def ran():
        found = dashboard.api("GET", "/history", task="e2e.now", limit=5)["items"]
        return any(one["state"] == "SUCCESS" for one in found)

    dashboard.until("the schedule's task ran", ran)


def live_schedule(dashboard):
    """A live schedule is added, changed and removed; a broken one is refused in words."""
    page = dashboard.page
    dashboard.go("/schedules")
    page.get_by_role("link", name="New schedule").click()
    page.get_by_label("Name").fill("weekly")
    page.get_by_label("Entry").fill('{"task": "e2e.now", "args": [0.0], "cron": "0 9 * * mon"}')
    page.get_by_role("button", name="Save").click()
    dashboard.row("weekly").get_by_text("at 09:00 on Monday").wait_for()
    dashboard.row("weekly").get_by_role("link", name="weekly").click()
    page.get_by_label("Entry").fill('{"task": "e2e.now", "args": [0.0], "every": "soon"}')
    page.get_by_role("button", name="Save").click()
    page.locator("main", has_text="every").wait_for()
    assert "schedules.weekly.every" in page.locator("main").inner_text()
    page.go_back()
    page.get_by_label("Entry").fill('{"task": "e2e.now", "args": [0.0], "every": 86400}')
    page.get_by_role("button", name="Save").click()
    dashboard.row("weekly").get_by_text("every day").first.wait_for()
    dashboard.row("weekly").get_by_role("link", name="weekly").click()
    page.get_by_role("button", name="Remove").click()
    assert "weekly" in dashboard.sure()
    page.wait_for_url("**/schedules")
    dashboard.until("it is gone", lambda: gone(dashboard, "weekly"))


def gone(dashboard, name):
    dashboard.go("/schedules")
    return dashboard.row(name).count() == 0


def caches_and_sessions(dashboard):
    """A cached value is shown and deleted; a user is logged out."""
    page = dashboard.page
    dashboard.go("/caches")
    page.get_by_role("button", name="Clear users").click()
    assert "users" in dashboard.sure()
    page.wait_for_url("**/caches")
    dashboard.go("/sessions")
    page.get_by_label("User's id").fill("17")
    page.get_by_role("button", name="End").click()
    assert "17" in dashboard.sure()
    page.wait_for_url("**/sessions")


def says(dashboard, task, words):
    """The page of a task says why it does not run."""
    probe = f"/task?id={task}"
    seen = ""

    def told():
        nonlocal seen
        dashboard.go(probe)
        seen = dashboard.page.locator(".why p").inner_text()
        return words in seen

    try:
        dashboard.until(words, told)
    except AssertionError as error:
        raise AssertionError(f"{task}: {words!r} is expected, not {seen!r}") from error


def reasons(dashboard):
    """Each of the reasons for which a task does not run, of real tasks."""
    done = dashboard.publish("e2e.sleep", 0)
    dashboard.ended(done)
    says(dashboard, done, "It has ended: SUCCESS")
    running = [dashboard.publish("e2e.sleep", 600) for _ in range(2)]
    for one in running:
        says(dashboard, one, "It runs now")
    waiting = dashboard.publish("e2e.sleep", 0)
    says(dashboard, waiting, "All 2 slots are taken (2 by e2e.sleep)")
    unknown_task = dashboard.publish("shop.unknown", 0)
    says(dashboard, unknown_task, "knows the task shop.unknown")
    lonely = dashboard.publish("e2e.sleep", 0, queue="lonely")
    says(dashboard, lonely, "No live worker serves the queue lonely")
    later = dashboard.publish("e2e.sleep", 0, countdown=3600)
    says(dashboard, later, "It waits for its time")
    dashboard.go(f"/task?id={later}")
    dashboard.page.get_by_role("button", name="Revoke").click()
    assert later in dashboard.sure()
    says(dashboard, later, "It is revoked")
    says(dashboard, "nobody-knows", "Nothing is known of it")
    for one in running:
        dashboard.api("POST", f"/tasks/{one}/revoke", terminate="true")
        says(dashboard, one, "It is revoked")
    assert dashboard.ended(waiting) == "SUCCESS"
    says(dashboard, unknown_task, "It is parked")


def search(dashboard):
    """Ends are found by id, by name, by state and by a text in their error."""
    page = dashboard.page
    failed = dashboard.publish("e2e.panic")
    assert dashboard.ended(failed) == "FAILURE"

    def found(words, state=""):
        dashboard.go("/tasks")
        page.get_by_label("Id, name, or a text").fill(words)
        page.get_by_label("State").select_option(state)
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**/tasks?*")
        return page.locator("tbody tr").all_inner_texts()

    for words, state in [(failed, ""), ("e2e.panic", ""), ("on purpose", ""), ("", "FAILURE")]:
        dashboard.until(
            f"{words} {state} is found",
            lambda words=words, state=state: any(failed in row for row in found(words, state)),
        )
    assert any("No such task" in row for row in found("surely-not-there"))
    # The link leads to its story, and back.
    found(failed)
    page.get_by_role("link", name=failed).click()
    page.locator(".story li", has_text="on purpose").wait_for()
    page.go_back()
    page.wait_for_url("**/tasks?*")


def play():
    with browser() as chromium:
        dashboard = Dashboard(chromium, os.environ.get("TOKEN", ""))
        for step in [
            chart_moves,
            dead_letter_runs,
            group_runs,
            paused_queue_holds,
            schedule,
            live_schedule,
            caches_and_sessions,
            search,
            reasons,
        ]:
            step(dashboard)
        assert not dashboard.complaints, dashboard.complaints
        return {"audit": dashboard.api("GET", "/audit", limit=100)["items"]}
