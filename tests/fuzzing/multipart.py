"""Multipart bodies, right and wrong."""

import random
from typing import Final

from fuzzing.values import as_bytes, damaged, json_bytes, odd_text, odd_value

_NAMES: Final = ("file", "file", "file", "link", "metadata", "requestParams", "assetItemContent", "thumbnail", "x", "")
_ENCODINGS: Final = (
    "7bit",
    "8bit",
    "binary",
    "base64",
    "quoted-printable",
    "x-unknown",
    "gzip",
    "",
    "BASE64",
    "a" * 200,
)
_DISPOSITIONS: Final = (
    'form-data; name="{}"',
    'form-data; name="{}"; filename="a.png"',
    'form-data; name="{}"; filename="../../etc/passwd"',
    "form-data; name={}",
    "form-data; name*=UTF-8''{}",
    "form-data",
    "attachment; filename={}",
    'form-data; name="{}"; filename="\xe9\x00"',
    'form-data; name="{}',
    "",
)
_BOUNDARIES: Final = ("b", "b" * 70, "b" * 71, "--", "a b", "'()+_,-./:=?", "é", "", "b;charset=x")


def multipart(rng: random.Random) -> tuple[str, bytes]:
    """Content-Type and body."""
    boundary = "fuzzboundary" if rng.random() < 0.85 else rng.choice(_BOUNDARIES)
    mark = as_bytes(boundary)
    count = rng.choice((0, 1, 1, 2, 2, 3, 5))
    if rng.random() < 0.004:
        count = rng.choice((300, 3000, 20_000))
    parts = [_part(rng, mark, 2) for _ in range(min(count, 5))]
    if count > 5:
        parts = [parts[0]] * count
    body = b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts)
    if rng.random() < 0.9:
        body += b"--" + mark + b"--" + rng.choice((b"\r\n", b"\r\n", b"", b"epilogue"))
    if rng.random() < 0.1:
        body = rng.choice((b"preamble\r\n", b"\r\n", b"--", b"a" * 70_000)) + body
    if rng.random() < 0.2:
        body = damaged(rng, body)
    return _content_type(rng, boundary), body


def _content_type(rng: random.Random, boundary: str) -> str:
    if rng.random() < 0.9:
        return f"multipart/form-data; boundary={boundary}"
    return rng.choice(
        (
            f'multipart/form-data; boundary="{boundary}"',
            f"multipart/mixed; boundary={boundary}",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            f"multipart/; boundary={boundary}",
            f"multipart/form-data; boundary={boundary}; boundary=other",
            "multipart/form-data; boundary=" + "b" * 300,
            "application/octet-stream",
            f"MULTIPART/form-data; BOUNDARY={boundary}",
        )
    )


def _part(rng: random.Random, mark: bytes, depth: int) -> bytes:
    name = rng.choice(_NAMES) if rng.random() < 0.95 else odd_text(rng).replace("\n", " ").replace("\r", " ")[:200]
    disposition = _DISPOSITIONS[0] if rng.random() < 0.6 else rng.choice(_DISPOSITIONS)
    lines = [as_bytes("Content-Disposition: " + disposition.replace("{}", name))]
    if rng.random() < 0.3:
        kind = rng.choice(
            ("image/png", "text/plain; charset=utf-99", "multipart/mixed; boundary=inner", "x", "a/b/c", "text/plain")
        )
        lines.append(b"Content-Type: " + kind.encode())
    if rng.random() < 0.15:
        lines.append(b"Content-Transfer-Encoding: " + rng.choice(_ENCODINGS).encode())
    if rng.random() < 0.08:
        lines.append(b"Content-Encoding: " + rng.choice((b"gzip", b"deflate", b"identity", b"br", b"x")))
    if rng.random() < 0.1:
        lines.append(b"Content-Length: " + rng.choice((b"0", b"5", b"-1", b"99999999999", b"x", b"1e3")))
    if rng.random() < 0.05:
        lines.append(
            rng.choice((b"X: " + b"a" * 9000, b"no colon", b": empty", b"X\x00: y", b"\xff: \xff", b" folded"))
        )
    if rng.random() < 0.01:
        lines += [b"X-%d: y" % number for number in range(rng.choice((100, 2000)))]
    if rng.random() < 0.05:
        rng.shuffle(lines)
    content = _content(rng, depth)
    return b"\r\n".join(lines) + rng.choice((b"\r\n\r\n",) * 12 + (b"\r\n", b"\n\n", b"")) + content


def _content(rng: random.Random, depth: int) -> bytes:
    match rng.randrange(8):
        case 0:
            return b""
        case 1 | 2:
            return json_bytes(rng, odd_value(rng), 0)
        case 3:
            return rng.randbytes(rng.choice((1, 100, 5000)))
        case 4 if depth:
            return b"--inner\r\n" + _part(rng, b"inner", depth - 1) + b"\r\n--inner--\r\n"
        case 5:
            return b"aGVsbG8=" * rng.choice((1, 10)) + rng.choice((b"", b"=", b"!!"))
        case 6:
            return b"=zz=C3=A9=\r\n"
        case _:
            return as_bytes(odd_text(rng))
