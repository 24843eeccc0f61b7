"""What artifacts.py logs, for it and for the tests that look at it."""

WORKSPACE = "art"
PROJECT = "data"
FILES = {"a.txt": b"one", "sub/b.bin": bytes(range(256)), "sub/deep/c ☃.txt": "drei ☃".encode()}
METADATA = {"rows": 10, "by": "ü", "nested": {"a": [1, None]}}
#: Where the client says a file is; the second is none of the addresses with a scheme.
REMOTE = "https://example.org/far.bin"
PLAIN = "/data/near file.csv"
#: Versions that are logged at once.
TIMES = 4
