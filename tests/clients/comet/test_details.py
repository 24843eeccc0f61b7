"""Details of what the unmodified `comet_ml` writes by REST and reads: texts, times, states and owners."""

from collections.abc import Mapping
from typing import Any

import pytest

from kit.comet.processes import Writing, client_environment, responses_of

TEXT = "größe ☃ 日本"
FILES = {
    "notes.txt": TEXT.encode(),
    "notes.md": TEXT.encode(),
    "config.yaml": f"name: {TEXT}".encode(),
    "no-suffix": TEXT.encode(),
    "script.sh": f"echo {TEXT}".encode(),
    "picture.svg": f"<svg>{TEXT}</svg>".encode(),
    "value.json": f'{{"name": "{TEXT}"}}'.encode(),
    "bare-json": f'{{"name": "{TEXT}"}}'.encode(),
    "odd.txt": b"a\xff\xfeb",
}
MESSAGE = (
    "set_os('Linux-6.1-x86_64')",
    "set_os_type('Linux')",
    "set_os_release('6.1')",
    "set_user('ada ☃')",
    "set_hostname('node-17')",
    "set_ip('10.0.0.1')",
    "set_pid(4711)",
    "set_python_version('3.11.7')",
    "set_python_version_verbose('3.11.7 (main)')",
    "set_executable('/usr/bin/python')",
    "set_machine('x86_64')",
    "set_processor('arm')",
    "set_command(['train.py', '--lr'])",
    "set_network_interface_ips(['10.0.0.1', '::1'])",
)
QUERIES = (
    "Environment('os') == 'Linux-6.1-x86_64'",
    "Environment('os').startswith('Linux-6')",
    "~(Environment('os') == 'Linux')",
    "Environment('os') != None",
    "Environment('os_type') == 'Linux'",
    "Environment('os_release') == '6.1'",
    "Environment('user') == 'ada ☃'",
    "Environment('hostname') == 'node-17'",
    "Environment('ip') == '10.0.0.1'",
    "Environment('pid') == 4711",
    "Environment('python_version') == '3.11.7'",
    "Environment('python_version_verbose').contains('main')",
    "Environment('executable') == '/usr/bin/python'",
    "Environment('machine') == 'x86_64'",
    "Environment('processor') == 'arm'",
    "Environment('command').contains('--lr')",
    "Environment('network_interface_ips').contains('::1')",
    "Metadata('user_name') == 'ada ☃'",
)
WRONG = ("Environment('os') == 'Linux'", "Environment('os') == 'linux'", "Metadata('user_name') == 'bob'")
#: A live experiment says these of the machine by itself.
LIVE = "comet_ml.Experiment(workspace='details', project_name='live', display_summary_level=0)"
LOGGED = "[e.log_asset(name, name=name)['assetId'] for name in {names}]"
MADE = "globals().update({name}=comet_ml.APIExperiment(workspace='details', project_name='p'))"
EXPRESSIONS = {
    "made": MADE.format(name="e"),
    "logged": LOGGED.format(names=list(FILES)),
    **{f"text of {name}": f"e.get_asset_by_name({name!r}, return_type='text')" for name in FILES},
    **{f"texts of {name}": f"e.get_assets_by_name({name!r}, return_type='text')" for name in FILES},
    **{f"bytes of {name}": f"e.get_asset_by_name({name!r})" for name in FILES},
    "value": "e.get_asset_by_name('value.json', return_type='json')",
    "bare value": "e.get_asset_by_name('bare-json', return_type='json')",
    "unknown": "e.get_asset('0' * 32)",
    "owner": "api.get_project('details', 'p')['ownerUserName']",
    "owners": "[one['ownerUserName'] for one in api._client.get_project_jsons('details')['projects']]",
    "no project": "api.get_project('details', 'nobody')",
    "timed": "[e.log_parameter('size', value, timestamp=at) for value, at in ((16, 100), (32, 200), (24, 300))] and "
    "e.get_parameters_summary('size')",
    "others": "[e.log_other('score', value) for value in (3, '-2.5', 1)] and "
    "[e.log_other('word', value) for value in ('b', 'c', 'a')] and "
    "[(one['name'], one['valueMin'], one['valueMax'], one['valueCurrent']) for one in e.get_others_summary()]",
    "name": "[e.name, e.get_name(), e.get_metadata()['experimentName'], e.get_others_summary()]",
    "histograms": "[e.log_asset('value.json', name=name, step=step, ftype='histogram3d')['assetId'] "
    "for name, step in (('weights', 2), ('bias', 1), ('weights', 1))]",
    "combined": "[e.get_asset_list('histogram_combined_3d'), e.get_asset_by_name('weights', return_type='json'), "
    "[len(e.get_asset(one['assetId'])) for one in e.get_asset_list('histogram_combined_3d')], "
    "[one['fileName'] for one in e.get_asset_list()].count('weights')]",
    "without": "[e.delete_asset(e.get_asset_list('histogram_combined_3d')[1]['assetId']), "
    "[one['fileName'] for one in e.get_asset_list('histogram_combined_3d')], "
    "[one['fileName'] for one in e.get_asset_list('histogram3d')]][1:]",
    "key": "e.key",
    "surroundings": f"[e.{', e.'.join(MESSAGE)}]",
    **{f"found by {query}": f"[one.key for one in api.query('details', 'p', {query})]" for query in QUERIES},
    **{f"nothing by {query}": f"[one.key for one in api.query('details', 'p', {query})]" for query in WRONG},
    "user": "[e.get_user(), e.get_metadata()['userName']]",
    "running": "e.get_state()",
    "beaten": f"[{MADE.format(name='beaten')}, beaten.update_status(), beaten.get_state()][2]",
    "ended": f"[{MADE.format(name='ended')}, ended.set_start_time(1_000), ended.set_end_time(6_000), "
    "ended.get_state(), ended.get_metadata()['durationMillis']][3:]",
    "over": "[e.set_state('finished'), e.get_state()][1]",
    "live": f"[{MADE.format(name='taken')}, "
    "globals().update(x=comet_ml.ExistingExperiment(previous_experiment=taken.key, display_summary_level=0)), "
    "x.get_name(), taken.get_state(), x.end(), taken.get_state()][2:]",
    "by itself": f"[globals().update(y={LIVE}), y.end(), y.get_key()][2]",
    "its surroundings": "exp(y.get_key()).get_system_details()",
    "found by itself": "[[one.key for one in api.query('details', 'live', query)] for query in ("
    "Metadata('user_name') == exp(y.get_key()).get_user(), Environment('os') == exp(y.get_key()).get_os(), "
    "Environment('hostname') == exp(y.get_key()).get_hostname(), Environment('pid') == exp(y.get_key()).get_pid(), "
    "Environment('python_version_verbose') == exp(y.get_key()).get_python_version_verbose(), "
    "Environment('ip') == exp(y.get_key()).get_ip())]",
}


@pytest.fixture(scope="module")
def told(writing: Writing) -> Mapping[str, Any]:
    for name, content in FILES.items():
        (writing.home / name).write_bytes(content)
    return responses_of(writing.python, EXPRESSIONS, client_environment(writing.home, writing.url))


def test_texts_are_texts(told: Mapping[str, Any]) -> None:
    assert len(told["logged"]) == len(FILES), told["logged"]
    for name, content in FILES.items():
        expected = content.decode(errors="replace")
        assert (told[f"text of {name}"], told[f"texts of {name}"]) == (expected, [expected]), name
    assert told["value"] == told["bare value"] == {"name": TEXT}
    assert "has no asset" in told["unknown"]["text"]


def test_histograms_of_one_name_are_one_asset(told: Mapping[str, Any]) -> None:
    listed, weights, sizes, count = told["combined"]
    assert [(one["fileName"], one["step"], one["histogram"]) for one in listed] == [
        ("bias", None, True),
        ("weights", None, True),
    ]
    logged = {"name": TEXT}
    assert weights == {"histograms": [{"step": 1, "histogram": logged}, {"step": 2, "histogram": logged}]}
    assert sizes == [one["fileSize"] for one in listed]
    assert count == 1
    assert told["without"] == [["bias"], ["bias"]], "all of it is deleted"


def test_a_project_has_an_owner(told: Mapping[str, Any]) -> None:
    assert told["owner"] == "details"
    assert told["owners"] == ["details"]
    assert told["no project"] is None


def test_parameters_have_the_time_that_the_client_gave(told: Mapping[str, Any]) -> None:
    assert told["timed"]["valueCurrent"] == "24"
    assert told["timed"]["timestampCurrent"] == 300_000

    assert (told["timed"]["valueMin"], told["timed"]["valueMax"]) == ("16", "32")
    assert (told["timed"]["timestampMin"], told["timed"]["timestampMax"]) == (100_000, 200_000)
    assert told["others"] == [["score", "-2.5", "3", "1"], ["word", "a", "a", "a"]], "texts have no order"


def test_queries_find_facts_of_the_surroundings(told: Mapping[str, Any]) -> None:
    wrong = {query: found for query in QUERIES if (found := told[f"found by {query}"]) != [told["key"]]}
    assert wrong == {}
    assert [told[f"nothing by {query}"] for query in WRONG] == [[]] * len(WRONG)
    assert told["user"] == ["ada ☃"] * 2


def test_queries_find_what_a_live_experiment_captured_by_itself(told: Mapping[str, Any]) -> None:
    assert all(told["its surroundings"][name] for name in ("user", "os", "hostname", "pid", "ip")), told
    assert told["found by itself"] == [[told["by itself"]]] * 6


def test_an_experiment_that_nobody_named_has_no_name(told: Mapping[str, Any]) -> None:
    assert told["name"][:3] == [None, None, None]
    assert [one["name"] for one in told["name"][3]] == ["score", "word"]


def test_what_is_written_by_rest_alone_runs_until_it_is_ended(told: Mapping[str, Any]) -> None:
    """tests/integration/test_rest_alone.py lets more time pass than a run with heartbeats may be silent."""
    assert told["running"] == told["beaten"] == "running"
    assert told["ended"] == ["finished", 5_000]
    assert told["over"] == "finished"


def test_a_live_experiment_that_nobody_named_is_told_no_name(told: Mapping[str, Any]) -> None:
    assert told["live"] == [None, "running", None, "finished"], "its end is the end of the run"
