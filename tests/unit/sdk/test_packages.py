"""Whether a package is there, without importing it."""

import sys
from types import ModuleType

import pytest

from runstream.packages import is_installed


def test_what_is_there_and_what_is_not() -> None:
    assert is_installed("wave")
    assert not is_installed("no_such_package")


def test_a_loaded_package_without_a_spec_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("replaced")
    module.__spec__ = None
    monkeypatch.setitem(sys.modules, "replaced", module)
    assert is_installed("replaced")


def test_a_package_whose_import_is_forbidden_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "forbidden", None)
    assert not is_installed("forbidden")
