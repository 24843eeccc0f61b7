"""The HTTP side: the table of endpoints, reading requests, writing responses."""
