// Before the page is drawn, so that it does not flash: the theme that was chosen here.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* No storage: the system's theme. */ }
