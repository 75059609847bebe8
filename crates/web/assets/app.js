"use strict";
// The other theme, and remember it.
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* For this page only. */ }
});
// Pages that change show what is new by themselves, unless somebody is at work in them.
const live = document.querySelector("main[data-live]");
const isBusy = () =>
  document.hidden ||
  live.contains(document.activeElement) && document.activeElement !== live ||
  !getSelection().isCollapsed ||
  live.querySelector("input:checked, details[open]");
let isLooking = false;
const look = async () => {
  if (isLooking || isBusy()) return;
  isLooking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("main[data-live]");
    if (answer.ok && fresh && !isBusy()) {
      const at = [...live.querySelectorAll(".wide")].map((one) => one.scrollLeft);
      live.replaceChildren(...fresh.childNodes);
      live.querySelectorAll(".wide").forEach((one, n) => { one.scrollLeft = at[n] || 0; });
    }
  } catch { /* The next look. */ } finally { isLooking = false; }
};
if (live) {
  const events = new EventSource("/live");
  events.addEventListener("look", look);
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}
