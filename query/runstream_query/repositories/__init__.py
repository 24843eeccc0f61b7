"""The data-access layer: every SELECT over the read models, behind methods that take a scope."""
