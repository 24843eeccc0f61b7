"""The smallest input with the same fault that can be found by leaving pieces out, within a bound of tries."""

from collections.abc import Callable


def smallest(data: bytes, is_same: Callable[[bytes], bool], most_tries: int = 600) -> bytes:
    """`is_same` says whether an input still has the fault. Returns `data` itself where nothing can be left out."""
    tries = 0
    size = max(len(data) // 2, 1)
    while size >= 1 and tries < most_tries:
        at, shrunk = 0, False
        while at < len(data) and tries < most_tries:
            candidate = data[:at] + data[at + size :]
            tries += 1
            if candidate != data and is_same(candidate):
                data, shrunk = candidate, True
            else:
                at += size
        if not shrunk or size > len(data):
            size //= 2
    return data
