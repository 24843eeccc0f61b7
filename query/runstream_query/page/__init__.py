"""The page for people's browsers, as it was built from `web/` (docs/design/page.md): its files and their routes."""
