"""Comet's REST interface over the query service's own statements, so that the unmodified `comet_ml` client reads runs.

It has no opinion of its own about data: every value comes from the same tables, by the same rules, as the native API's.
What differs between the two interfaces stands in docs/comet.md.
"""
