"""The smallest input with the same fault that can be found by leaving pieces out, within bounds of tries and time."""

import time
from collections.abc import Callable, Iterable


def smallest(
    data: bytes,
    is_same: Callable[[bytes], bool],
    repair: Callable[[bytes], bytes] = lambda data: data,
    simpler: Callable[[bytes], Iterable[bytes]] = lambda data: (),
    most_tries: int = 600,
    longest_s: float = 30.0,
    clock: Callable[[], float] = time.process_time,
) -> bytes:
    """`is_same` says whether an input still has the fault; `repair` makes sizes and checksums right first,
    `simpler` gives inputs that leave out something whole. Returns `data` itself where nothing can be left out. After
    `most_tries` tries or `longest_s` of processor time the smallest so far is good enough."""
    tries, again, end_s = 0, True, clock() + longest_s

    def may_try() -> bool:
        return tries < most_tries and clock() < end_s

    while again and may_try():
        again = False
        for candidate in simpler(data):
            if not may_try():
                break
            tries += 1
            if len(candidate) < len(data) and is_same(candidate):
                data, again = candidate, True
                break
    size = max(len(data) // 2, 1)
    while size >= 1 and may_try():
        at, shrunk = 0, False
        while at < len(data) and may_try():
            candidate = repair(data[:at] + data[at + size :])
            tries += 1
            if candidate != data and is_same(candidate):
                data, shrunk = candidate, True
            else:
                at += size
        if not shrunk or size > len(data):
            size //= 2
    return data
