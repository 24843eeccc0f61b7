"""Names of files that somebody else chose, made into names that can be written here.

Whoever logs a file names it as they like: `../../tmp/x`, `/etc/cron.d/x`, `C:\\x`, a name that is a device on Windows,
one that a right-to-left mark shows with another ending. Archives, download folders and `Content-Disposition` get their
names from here. Pure: no file is touched.
"""

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterable
from functools import lru_cache
from typing import Final

#: Bytes of one part in UTF-8: what file systems of today take.
MAX_PART_BYTES: Final = 255
#: Bytes of a whole name: half of what Linux takes for a path (4,096), so that the folder that it is put into fits too.
MAX_NAME_BYTES: Final = 2_000
#: Parts of a name. Deeper folders have their outer ones folded into one.
MAX_PARTS: Final = 40
#: Of a file whose name has nothing that can be kept.
UNNAMED: Final = "unnamed"

#: A joiner and a non-joiner spell words (Persian, Indic scripts) and emoji; they do not change the order of the rest.
_KEPT_FORMAT: Final = "\u200c\u200d"
_REPLACED_CATEGORIES: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
#: What Windows does not allow in a name; the colon also begins a drive and a hidden stream.
_NOT_ON_WINDOWS: Final = frozenset('<>:"|?*')
_DEVICES: Final = frozenset(
    (
        *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"),
        *(f"{device}{number}" for device in ("COM", "LPT") for number in "0123456789¹²³"),
    )
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._\-]*")
_LONGEST_ENDING: Final = 20


def safe_name(name: str, *, portable: bool = True) -> str:
    """Return `name` if it can be written below a folder, else a name like it that can: relative, parts with "/" between
    them, none of them empty, `.` or `..`, without control and direction characters, in Unicode's form NFC, within
    MAX_PART_BYTES and MAX_NAME_BYTES. Backslashes count as separators.

    portable: also what Windows asks for: no drive, device or reserved character, no dot or space at the end of a part.
    Different names may become the same one: see `safe_names`. Applied twice it changes nothing more.
    """
    # More parts than could be kept, so that a name of nothing but folders costs little.
    given = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")[-4 * MAX_PARTS :]
    parts = [_safe_part(part, portable) for part in given]
    kept = [part for part in parts if part]
    return _bounded(kept, name) or UNNAMED


def safe_names(names: Iterable[str], *, portable: bool = True) -> list[str]:
    """`safe_name` of each, in order, all different: also where case and compatible characters do not count, and none is
    a folder of another. What would collide with an earlier one gets `~2`, `~3` ... before its ending, which may make it
    a few bytes longer than MAX_NAME_BYTES."""
    files: set[str] = set()
    folders: set[str] = set()
    numbers: dict[str, int] = {}
    moved: dict[str, str] = {}  # a folder, and what it is called here
    made = []
    for name in names:
        parts = safe_name(name, portable=portable).split("/")
        place = ""
        for index, part in enumerate(parts[:-1]):
            known = place + part
            if known not in moved:
                moved[known] = _free(part, place, (files,), numbers)
            parts[index] = moved[known]
            place += _folded(parts[index])
            folders.add(place)
            place += "/"
        parts[-1] = _free(parts[-1], place, (files, folders), numbers)
        files.add(place + _folded(parts[-1]))
        made.append("/".join(parts))
    return made


def last_part(name: str, *, portable: bool = True) -> str:
    """The safe name of the file itself, without its folders."""
    return safe_name(name, portable=portable).rpartition("/")[2]


@lru_cache(4096)  # the files of a folder begin alike
def _safe_part(part: str, portable: bool) -> str:
    """Empty for a part that says nothing."""
    made = part if _PLAIN.fullmatch(part) else "".join("_" if _is_replaced(char, portable) else char for char in part)
    made = made.strip().rstrip(" .") if portable else made.strip()
    if made in ("", ".", ".."):
        return ""
    if portable and made.split(".")[0].rstrip(" ").upper() in _DEVICES:
        made = f"_{made}"
    return _shortened(made, MAX_PART_BYTES)


def _is_replaced(char: str, portable: bool) -> bool:
    if char in _KEPT_FORMAT:
        return False
    return unicodedata.category(char) in _REPLACED_CATEGORIES or (portable and char in _NOT_ON_WINDOWS)


def _shortened(part: str, most_bytes: int) -> str:
    """The part, with a digest in the place of what is too much; its ending stays."""
    if len(part.encode()) <= most_bytes:
        return part
    stem, dot, ending = part.rpartition(".")
    if not stem or len(ending.encode()) > _LONGEST_ENDING:
        stem, dot, ending = part, "", ""
    behind = f"~{_digest(part)}{dot}{ending}"
    return stem.encode()[: most_bytes - len(behind.encode())].decode(errors="ignore") + behind


def _bounded(parts: list[str], name: str) -> str:
    """The parts as a name; the outer folders of one that is too deep or too long are one folder, called by a digest."""
    sizes = [len(part.encode()) + 1 for part in parts]
    if len(parts) <= MAX_PARTS and sum(sizes) <= MAX_NAME_BYTES + 1:
        return "/".join(parts)
    outer = f"~{_digest(name)}"
    left, first = MAX_NAME_BYTES - len(outer), len(parts)
    while first and len(parts) - first < MAX_PARTS - 1 and sizes[first - 1] <= left:
        first -= 1
        left -= sizes[first]
    return "/".join([outer, *parts[first:]])


def _free(part: str, place: str, taken: tuple[Container[str], ...], numbers: dict[str, int]) -> str:
    """The part, or the part with a number, under which nothing in `taken` is at `place`."""
    key = place + _folded(part)
    if not any(key in names for names in taken):
        return part
    stem, dot, ending = part.rpartition(".")
    if not stem:
        stem, dot, ending = part, "", ""
    number = numbers.get(key, 1)
    while True:
        number += 1
        behind = f"~{number}{dot}{ending}"
        cut = stem.encode()[: MAX_PART_BYTES - len(behind.encode())].decode(errors="ignore")
        made = unicodedata.normalize("NFC", f"{cut}{behind}")
        if not any(place + _folded(made) in names for names in taken):
            numbers[key] = number
            return made


@lru_cache(4096)
def _folded(part: str) -> str:
    """The same for parts that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
