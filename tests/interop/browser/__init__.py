"""Somebody at the dashboard: drives Debian's Chromium over the real stack, by Playwright."""
