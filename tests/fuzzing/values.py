"""Odd values of every JSON type, documents made of them, and mutations of documents. JSON is written by `written`,
which can also write what `json.dumps` cannot: names that occur twice, numbers of any length, depth without end."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final


class Raw(str):
    """A piece of JSON text that stands as it is."""


class Pairs(list[tuple[str, Any]]):
    """The members of an object in their order; a name may occur several times."""


ODD_NUMBERS: Final[tuple[Any, ...]] = (
    *(0, -1, 1, 2, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1),
    *(2**64, -(2**63), -(2**63) - 1, 10**18, 10**30, 0.1, -0.0, 1e308, -1e308, 5e-324, 1e-320),
    *map(Raw, ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0", "1E5", "01", "1.", "+1", "0x10", "9" * 4301)),
    Raw("1" + "0" * 5000),
    Raw("1" * 20),
    Raw("0." + "3" * 400),
)
ODD_TEXTS: Final = (
    *("", " ", "\x00", "a\x00b", "\n", "\r\n", "\ud800", "\udfff", "a\ud83d", "\U0001f600", "\ufeff", "\u202e"),
    *("'", '"', "\\", "';DROP TABLE points;--", "{x:String}", "${jndi:ldap://x}", "%s%n", "%00", "../../etc/passwd"),
    *("/etc/cron.d/x", "C:\\x", "a/b", "NaN", "Infinity", "null", "true", "1e999", "é", "e\u0301", "İ", "ß"),
    *("a" * 127, "a" * 128, "a" * 129, "a" * 255, "a" * 500, "a" * 501, "é" * 250, "\u2028", "<script>"),
    *("-", ".", "..", "*", "?", "[", "**", "a*" * 30, "(" * 40, "now", "-1", "0:0", "0:18446744073709551616"),
)
ODD_CONSTANTS: Final[tuple[Any, ...]] = (None, True, False)
_WORDS: Final = ("loss", "acc", "lr", "run", "metric", "x", "train/loss", "epoch", "default", "Comet", "file", "step")
_DEPTHS: Final = (2, 10, 10, 64, 64, 200, 257, 1100, 5000)


def odd_text(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.5:
        return rng.choice(ODD_TEXTS)
    if chance < 0.8:
        return rng.choice(_WORDS)
    if chance < 0.9995:
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(1, 0xD800)))) for _ in range(rng.randrange(12))
        )
    return rng.choice("ax\u00e9") * rng.choice((10_000, 70_000, 260_000))


def odd_value(rng: random.Random, depth: int = 3) -> Any:
    """A value of any type."""
    chance = rng.random()
    if chance < 0.35:
        return rng.choice(ODD_NUMBERS)
    if chance < 0.65:
        return odd_text(rng)
    if chance < 0.75:
        return rng.choice(ODD_CONSTANTS)
    if chance < 0.77:
        return nested(rng)
    if chance < 0.7702:
        return Raw("[" + "0," * rng.choice((1000, 20_000, 150_000)) + "0]")
    if depth <= 0:
        return rng.choice(([], {}, [[]], {"": {}}))
    if chance < 0.88:
        return [odd_value(rng, depth - 1) for _ in range(rng.choice((0, 1, 1, 2, 3, 8)))]
    return Pairs((odd_text(rng), odd_value(rng, depth - 1)) for _ in range(rng.choice((0, 1, 1, 2, 5))))


def nested(rng: random.Random) -> Raw:
    """Lists or objects in each other, sometimes never closed."""
    depth = rng.choice(_DEPTHS)
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
    return Raw(opened * depth + "1" + closed * (depth if rng.random() < 0.8 else rng.randrange(depth)))


def members(value: Any) -> list[tuple[str, Any]] | None:
    """The members of an object, None for anything else."""
    if isinstance(value, Pairs):
        return value
    return list(value.items()) if isinstance(value, Mapping) else None


def mutated(rng: random.Random, document: Any) -> Any:
    """A document with one change somewhere in it."""
    found = members(document)
    if found and rng.random() < 0.9:
        pairs = Pairs(found)
        at = rng.randrange(len(pairs))
        name, value = pairs[at]
        match rng.randrange(10):
            case 0:
                del pairs[at]
            case 1:
                pairs.insert(rng.randrange(len(pairs) + 1), (name, odd_value(rng)))
            case 2:
                pairs.append((odd_text(rng), odd_value(rng)))
            case 3:
                pairs[at] = (odd_text(rng), value)
            case 4 | 5:
                pairs[at] = (name, odd_value(rng))
            case _:
                pairs[at] = (name, mutated(rng, value))
        return pairs
    if isinstance(document, list) and document and rng.random() < 0.9:
        items = list(document)
        at = rng.randrange(len(items))
        match rng.randrange(6):
            case 0:
                del items[at]
            case 1:
                items *= rng.choice((2, 2, 3, 20)) if rng.random() < 0.99 else 600
            case 2:
                items.insert(at, odd_value(rng))
            case _:
                items[at] = mutated(rng, items[at])
        return items
    if isinstance(document, str) and document and rng.random() < 0.4:
        at = rng.randrange(len(document) + 1)
        return document[:at] + rng.choice(ODD_TEXTS)[:20] + document[at:]
    return odd_value(rng)


def written(value: Any) -> str:
    """JSON text; surrogates as escapes."""
    if isinstance(value, Raw):
        return str(value)
    found = members(value)
    if found is not None:
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in found) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**4000:
        return "1" + "0" * 4000
    return json.dumps(value)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some damage: cut, bits turned, a piece repeated, removed, or put in."""
    if not data:
        return rng.randbytes(rng.randrange(1, 40))
    at = rng.randrange(len(data))
    match rng.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 2:
            return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 8))) + data[at:]
        case 3:
            end = min(len(data), at + rng.choice((1, 4, 16, 100)))
            return data[:at] + data[end:]
        case 4:
            end = min(len(data), at + rng.choice((1, 4, 16, 100)))
            return data[:end] + data[at:end] * rng.choice((1, 2, 20)) + data[end:]
        case 5:
            return data[:at] + bytes([rng.choice(b'\x00\xff\x7f\x80{}[]",:\r\n')]) + data[at + 1 :]
        case _:
            return data + data[at:]


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def json_bytes(rng: random.Random, document: Any, changes: int) -> bytes:
    """The document as JSON after so many changes; now and then the text itself is damaged too."""
    for _ in range(changes):
        document = mutated(rng, document)
    data = as_bytes(written(document))
    return damaged(rng, data) if rng.random() < 0.05 else data


def some_changes(rng: random.Random) -> int:
    return rng.choice((0, 1, 1, 1, 2, 2, 3, 5))
