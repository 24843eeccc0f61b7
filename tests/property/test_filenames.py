"""Every text becomes a name that can be written below a folder, and no two of a folder the same file."""

import os
import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.filenames import MAX_NAME_BYTES, MAX_PART_BYTES, MAX_PARTS, UNNAMED, last_part, safe_name, safe_names
from runstream_service.disposition import content_disposition

pieces = st.sampled_from(
    [
        *(
            "..",
            ".",
            "",
            "/",
            "\\",
            "C:",
            "C:\\",
            "//host/share",
            "\\\\?\\",
            "~",
            " ",
            "\t",
            "\n",
            "\r\n",
            "\0",
            '"',
            "'",
        ),
        *("a", "A", "ä", "a\u0308", "ﬁ", "ß", "SS", "İ", "\u202e", "\u2066", "\ufeff", "\ud800", "\u200d", "é" * 200),
        *(
            "CON",
            "nul.txt",
            "com1",
            "LPT9.tar.gz",
            "aux ",
            "COM¹",
            "a.",
            "a. .",
            ":",
            "?",
            "*",
            "|",
            "x" * 300,
            "a/" * 60,
        ),
        *(".bin", "~2", "a~2.bin", "a.bin", "A.BIN", "etc/passwd", "%2e%2e%2f", "-rf", "$(id)", ";", "‥", "／"),
    ]
)
names = st.lists(pieces | st.text(max_size=8), max_size=8).map("".join) | st.text(max_size=60)


def check(name: str, portable: bool, most_bytes: int = MAX_NAME_BYTES) -> None:
    parts = name.split("/")
    assert all(part not in ("", ".", "..") for part in parts)
    assert len(parts) <= MAX_PARTS
    assert not PurePosixPath(name).is_absolute()
    assert os.path.normpath(name) == name
    assert unicodedata.normalize("NFC", name) == name
    assert len(name.encode()) <= most_bytes, "also: it can be encoded"
    assert all(len(part.encode()) <= MAX_PART_BYTES for part in parts)
    assert "\\" not in name
    assert not [char for char in name if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]", name)
    assert all(part == part.strip() for part in parts)
    if portable:
        windows = PureWindowsPath(name)
        assert (windows.drive, windows.root) == ("", "")
        assert not re.search(r'[<>:"|?*]', name)
        for part in parts:
            assert not part.endswith((".", " "))
            assert not re.fullmatch(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³]) *(\..*)?", part, re.IGNORECASE)


@given(names, st.booleans())
def test_every_text_becomes_a_safe_name_and_stays_it(name: str, portable: bool) -> None:
    made = safe_name(name, portable=portable)
    check(made, portable)
    assert safe_name(made, portable=portable) == made
    assert last_part(name, portable=portable) == made.rpartition("/")[2]


@given(st.lists(names, max_size=12), st.booleans())
def test_no_two_of_a_folder_are_one_file_and_none_is_a_folder_of_another(
    given_names: list[str], portable: bool
) -> None:
    made = safe_names(given_names, portable=portable)
    assert len(made) == len(given_names)
    folded = [unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()) for name in made]
    assert len(set(folded)) == len(made)
    folders = {name[: end.start()] for name in folded for end in re.finditer("/", name)}
    assert not folders & set(folded)
    for name in made:
        check(name, portable, MAX_NAME_BYTES + 40 * 8)


plain = st.from_regex(r"[a-z0-9_\-]{1,8}(\.[a-z0-9]{1,5})?(/[a-zäöü0-9_\-]{1,8}){0,3}", fullmatch=True).filter(
    lambda name: not re.search(r"(^|/)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|/|$)", name)
)


@given(st.lists(plain, unique=True, max_size=6))
def test_names_that_are_safe_stay_as_they_are(given_names: list[str]) -> None:
    folders = {name[: end.start()] for name in given_names for end in re.finditer("/", name)}
    kept = [name for name in given_names if name not in folders]
    assert safe_names(kept) == kept


@given(names)
def test_a_header_with_a_name_is_one_line_in_ascii(name: str) -> None:
    value = content_disposition(name)
    assert re.fullmatch(r"""attachment; filename="[A-Za-z0-9 ._\-]+"; filename\*=UTF-8''[A-Za-z0-9_.~%\-]+""", value)
    assert len(value) < 1_200


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("../../tmp/pwned", "tmp/pwned"),
        ("/etc/cron.d/x", "etc/cron.d/x"),
        ("C:\\x", "C_/x"),
        ("\\\\host\\share\\x", "host/share/x"),
        ("a/./b//c/../d", "a/b/c/d"),
        ("model.bin", "model.bin"),
        ("Gewichte ☃/ä.bin", "Gewichte ☃/ä.bin"),
        ("con.txt", "_con.txt"),
        ("photo\u202egnp.exe", "photo_gnp.exe"),
        ("..", UNNAMED),
        ("", UNNAMED),
    ],
)
def test_what_becomes_of_names(name: str, made: str) -> None:
    assert safe_name(name) == made


def test_what_collides_gets_a_number_and_folders_stay_together() -> None:
    given_names = ["a", "a/x", "A", "a/y", "w.bin", "W.bin", "../w.bin", "b/c", "b"]
    assert safe_names(given_names) == ["a", "a~2/x", "A~3", "a~2/y", "w.bin", "W~2.bin", "w~3.bin", "b/c", "b~2"]


def test_many_equal_names_take_no_longer_each() -> None:
    """The work of a name does not grow with those before it: it is counted by how often a number is tried."""
    made = safe_names(["../x"] * 10_000)
    assert (made[-1], len(set(made))) == ("x~10000", 10_000)
