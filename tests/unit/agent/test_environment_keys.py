"""Which requirements name what lies beside them: their environments are never another code's."""

from pathlib import Path

import pytest

from runstream.agent.environments import key_of


def keys(tmp_path: Path, line: str) -> set[str]:
    """The keys of two codes with the same requirements."""
    found = set()
    for content in ("1", "2"):
        code = tmp_path / content
        (code / "libs" / "mypkg").mkdir(parents=True)
        (code / "libs" / "mypkg" / "x.py").write_text(content)
        found.add(key_of("python", line.encode(), code))
    return found


@pytest.mark.parametrize(
    "line",
    [
        "libs/mypkg",
        "libs/mypkg[extra]",
        "mypkg @ libs/mypkg",
        "mypkg@libs/mypkg",
        "./libs/mypkg",
        "-e .",
        "-r more.txt",
        "--find-links=vendor",
        "vendor/x.tgz",
        "x.tgz",
        "x.TAR.bz2",
        "x.tar.xz",
        "x.whl",
        "x @ file:x.whl",
        "git+file:///srv/x",
        "https://e.org/x.whl libs/mypkg",
        "libs",
        "libs[extra]>=1",
        "li\\\nbs",
        "${WHERE}",
        "numpy\nlibs/mypkg # ours",
        "li\0bs",
    ],
)
def test_what_lies_beside_the_requirements_is_a_part_of_the_key(tmp_path: Path, line: str) -> None:
    assert len(keys(tmp_path, line)) == 2


@pytest.mark.parametrize(
    "line",
    [
        "",
        "numpy==2.0",
        "torch>=2,<3; python_version > '3.8'",
        "x[extra]~=1.0",
        "# see ./libs or x.whl",
        "numpy # not libs/mypkg",
        "x @ https://e.org/a/x-1.0.tar.gz#sha256=abc",
        "git+https://e.org/a/x.git@v1",
        "x @ git+ssh://git@e.org/a/x.git",
        "z" * 5_000,
    ],
)
def test_an_environment_of_packages_alone_is_shared(tmp_path: Path, line: str) -> None:
    assert len(keys(tmp_path, line)) == 1
