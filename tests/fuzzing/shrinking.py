"""The smallest input with the same fault that can be found by leaving pieces out, within a bound of tries."""

from collections.abc import Callable, Iterable


def smallest(
    data: bytes,
    is_same: Callable[[bytes], bool],
    repair: Callable[[bytes], bytes] = lambda data: data,
    simpler: Callable[[bytes], Iterable[bytes]] = lambda data: (),
    most_tries: int = 600,
) -> bytes:
    """`is_same` says whether an input still has the fault; `repair` makes sizes and checksums right first,
    `simpler` gives inputs that leave out something whole. Returns `data` itself where nothing can be left out."""
    tries, again = 0, True
    while again and tries < most_tries:
        again = False
        for candidate in simpler(data):
            tries += 1
            if len(candidate) < len(data) and is_same(candidate):
                data, again = candidate, True
                break
    size = max(len(data) // 2, 1)
    while size >= 1 and tries < most_tries:
        at, shrunk = 0, False
        while at < len(data) and tries < most_tries:
            candidate = repair(data[:at] + data[at + size :])
            tries += 1
            if candidate != data and is_same(candidate):
                data, shrunk = candidate, True
            else:
                at += size
        if not shrunk or size > len(data):
            size //= 2
    return data
