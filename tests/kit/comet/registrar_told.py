"""What registrar.py tells the client, and the tests expect to read: one description, imported by both."""

WORKSPACE = "reg wörk"
FILES = {"weights.bin": bytes(range(256)) * 4_096, "config/net ☃.json": b'{"layers": 3}', "empty": b""}
