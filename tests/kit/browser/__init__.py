"""The page in a real Chromium: the browser, pages that fail on what goes wrong in them, a server with a history."""
