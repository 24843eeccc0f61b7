"""Which tests run in one process (kit.distribution)."""

from kit.distribution import LONG_FILES, TESTS, TOGETHER, Scheduling


def test_the_tests_of_a_file_and_of_files_that_share_a_server_stay_together() -> None:
    scheduling = object.__new__(Scheduling)
    item = "tests/clients/{}/test_{}.py::test_one[a::b]"
    scopes = [{scheduling._split_scope(item.format(client, name)) for name in names} for client, names in TOGETHER]
    assert [len(found) for found in scopes] == [1] * len(TOGETHER)
    assert len(set.union(*scopes)) == len(TOGETHER)
    assert scheduling._split_scope("tests/unit/test_guard.py::test_one") == "tests/unit/test_guard.py"


def test_a_long_file_stands_in_the_list_once() -> None:
    assert len(set(LONG_FILES)) == len(LONG_FILES)
    assert all((TESTS / name).is_file() for name in LONG_FILES)
