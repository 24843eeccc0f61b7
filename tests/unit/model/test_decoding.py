"""One bad event among a frame's events is rejected alone, with its bytes and its cause."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events import limits
from runstream.events.artifacts import ArtifactDeleted
from runstream.events.control import EVENT_TYPES, ParametersLogged, RunArchived, RunEvent, TagsAdded, encode_event
from runstream.events.encoding import encode_events
from runstream.events.frame import Frame, FrameHeader
from runstream_model.decoding import decode_events

GOOD = encode_event(RunArchived(at_us=1))


def frame_of(events: bytes, first_seq: int = 0, end_seq: int = 3, key: str = "run") -> Frame:
    return Frame(FrameHeader(0, "0" * 32, key, first_seq, end_seq), events, ())


@pytest.mark.parametrize(
    ("bad", "cause", "detail"),
    [
        (b'{"type":"run_archived.v9","at_us":1}', "unknown_event", "run_archived.v9: this build knows run_archived.v1"),
        (b'{"type":"run_painted.v1","at_us":1,"x":[{"}":"]"}]}', "unknown_event", "this build knows no such event"),
        (b'{"type":"painted","at_us":1}', "invalid_event", "'painted' is no tag"),
        (b'{"type":"run_archived.v0","at_us":1}', "invalid_event", "is no tag"),
        (b'{"type":["run_archived.v1"],"at_us":1}', "invalid_event", "tag"),
        (b'{"at_us":1}', "invalid_event", "Unable to extract tag"),
        (b'{"type":"run_archived.v1"}', "invalid_event", "run_archived.v1.at_us: Field required"),
        (b'{"type":"run_archived.v1","at_us":-1}', "invalid_event", "greater than or equal to 0"),
        (b'{"type":"run_archived.v1","at_us":10413792000000000}', "invalid_event", "less than or equal"),
        (b'{"type":"run_archived.v1","at_us":"soon"}', "invalid_event", "valid integer"),
        (b'{"type":"run_archived.v1","at_us":' + b"9" * 5_000 + b"}", "invalid_event", "number out of range"),
        (b'{"type":"run_archived.v1","at_us":}', "invalid_event", "Invalid JSON"),
        (b'{"type":"run_archived.v1","at_us":1}, 5', "invalid_event", "Invalid JSON"),
        (b"[" * 50_000 + b"]" * 50_000, "invalid_event", "recursion limit"),
        (b'{"type":"others_logged.v1","at_us":1,"values":{"a":"\xff"}}', "invalid_event", "unicode"),
        (b'{"type":"others_logged.v1","at_us":1,"values":{"a":"\\ud800"}}', "invalid_event", "hex escape"),
        (b"null", "invalid_event", ""),
        (
            b'{"type":"run_moved.v1","at_us":1,"workspace":"a/b","project":"p"}',
            "invalid_event",
            "workspace 'a/b' contains '/'",
        ),
        (
            b'{"type":"project_deleted.v1","at_us":1,"workspace":"w","project":"p"}',
            "invalid_event",
            "project_deleted.v1 is not about 'run'",
        ),
    ],
)
def test_a_bad_event_is_rejected_alone(bad: bytes, cause: str, detail: str) -> None:
    events, rejected = decode_events(frame_of(encode_events([(0, GOOD), (1, bad), (2, GOOD)])))
    assert events == [(0, RunArchived(at_us=1)), (2, RunArchived(at_us=1))]
    assert [(reject.seq, reject.cause, reject.body) for reject in rejected] == [(1, cause, bad)]
    assert detail in rejected[0].detail


@pytest.mark.parametrize("bad", [b'{"type":"run_archived.v1","at_us":1', b'{"type":"run_archived.v1', b"[[1]"])
def test_behind_an_event_that_never_ends_nothing_can_be_told_apart(bad: bytes) -> None:
    events, rejected = decode_events(frame_of(encode_events([(0, GOOD), (1, bad), (2, GOOD)])))
    assert events == [(0, RunArchived(at_us=1))]
    assert [reject.seq for reject in rejected] == [None]
    assert rejected[0].body == b"[1,%b],[2,%b]]" % (bad, GOOD)


@pytest.mark.parametrize(
    ("pair", "seq"),
    [
        (b"[7,%b]" % GOOD, 7),
        (b"[0,%b]" % GOOD, 0),  # not above the one before
        (b"[1.0,%b]" % GOOD, None),
        (b'["1",%b]' % GOOD, None),
        (b"[-1,%b]" % GOOD, None),
        (b"[true,%b]" % GOOD, None),
        (b"[%b,%b]" % (b"1" * 5_000, GOOD), None),
        (b"[1]", None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_a_bad_pair_is_rejected_alone(pair: bytes, seq: int | None) -> None:
    events, rejected = decode_events(frame_of(b"[[0,%b],%b,[2,%b]]" % (GOOD, pair, GOOD)))
    assert [good for good, _ in events] == [0, 2]
    assert [(reject.seq, reject.cause) for reject in rejected] == [(seq, "invalid_event")]
    assert rejected[0].body == (pair if seq is None else GOOD)


@pytest.mark.parametrize("text", [b"", b"[]", b" [ ] \n"])
def test_no_events(text: bytes) -> None:
    assert decode_events(frame_of(text)) == ([], [])


@pytest.mark.parametrize("text", [b"x", b"{}", b"[", b"[]x", b"[[0,", b'["', b"\xff\xfe", b'["' + b'\\"' * 200_000])
def test_what_is_no_array_is_rejected_as_a_whole(text: bytes) -> None:
    events, rejected = decode_events(frame_of(text))
    assert events == []
    assert [(reject.seq, reject.cause) for reject in rejected] == [(None, "invalid_event")]


def test_white_space_changes_nothing() -> None:
    text = b' [ [ 0 , {"type": "run_archived.v1", "at_us": 1} ] ,\n[1,{"type":"x.v1"}]\t] '
    events, rejected = decode_events(frame_of(text))
    assert events == [(0, RunArchived(at_us=1))]
    assert [(reject.seq, reject.body) for reject in rejected] == [(1, b'{"type":"x.v1"}')]


def test_an_event_that_is_too_large_is_rejected_alone() -> None:
    large = encode_event(ParametersLogged(at_us=1, values={"x": "y" * limits.MAX_EVENT_BYTES}))
    most = encode_event(ParametersLogged(at_us=1, values={"x": "y" * (limits.MAX_EVENT_BYTES - 100)}))
    events, rejected = decode_events(frame_of(encode_events([(0, most), (1, large), (2, GOOD)])))
    assert [seq for seq, _ in events] == [0, 2]
    assert [(reject.seq, reject.cause) for reject in rejected] == [(1, "invalid_event")]
    assert str(limits.MAX_EVENT_BYTES) in rejected[0].detail


@pytest.mark.parametrize(("key", "fits"), [("w/p", True), ("w/q", False), ("w", False)])
def test_a_projects_event_has_to_come_under_its_key(key: str, fits: bool) -> None:
    event = b'{"type":"experiment_deleted.v1","at_us":1,"workspace":"w","project":"p","experiment":"e"}'
    events, rejected = decode_events(frame_of(encode_events([(0, event)]), key=key))
    assert (len(events), len(rejected)) == ((1, 0) if fits else (0, 1))


@pytest.mark.parametrize(
    ("key", "project", "fits"),
    [("w/p", "p", True), ("w/n", "p", False), ("w/n", None, True), ("w/p", None, False), ("n", None, False)],
)
def test_an_artifacts_event_has_to_come_under_its_key(key: str, project: str | None, fits: bool) -> None:
    event = ArtifactDeleted(at_us=1, workspace="w", project=project, artifact_type="panel", name="n")
    events, rejected = decode_events(frame_of(encode_events([(0, encode_event(event))]), key=key))
    assert ([found for _, found in events], len(rejected)) == (([event], 0) if fits else ([], 1))


def test_a_runs_event_does_not_belong_under_a_projects_key() -> None:
    assert decode_events(frame_of(encode_events([(0, GOOD)]), key="w/p"))[0] == []


def _one_tag(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "run_tagged.v2", "at_us": fields["at_us"], "tags": [fields["tag"]]}


def _added(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "type": "tags_added.v1"}


def test_a_retired_event_becomes_todays_and_its_neighbours_stay() -> None:
    upcasts = {"run_tagged.v1": _one_tag, "run_tagged.v2": _added}
    retired = [b'{"type":"run_tagged.v1","at_us":4,"tag":"a"}', b'{"type":"run_tagged.v2","at_us":5,"tags":["b"]}']
    text = encode_events([(0, retired[0]), (1, retired[1]), (2, GOOD)])
    events, rejected = decode_events(frame_of(text), upcasts)
    assert rejected == []
    assert events == [
        (0, TagsAdded(at_us=4, tags=("a",))),
        (1, TagsAdded(at_us=5, tags=("b",))),
        (2, RunArchived(at_us=1)),
    ]
    # Without the registry they are events that this build does not know.
    assert [reject.cause for reject in decode_events(frame_of(text), {})[1]] == ["unknown_event", "unknown_event"]


@pytest.mark.parametrize("fields", [{"at_us": 4}, {"at_us": 4, "tag": 5}, {"tag": "a"}])
def test_a_retired_event_without_its_fields_is_invalid(fields: dict[str, Any]) -> None:
    upcasts = {"run_tagged.v1": _one_tag, "run_tagged.v2": _added}
    bad = json.dumps({"type": "run_tagged.v1", **fields}).encode()
    events, rejected = decode_events(frame_of(encode_events([(0, bad), (1, GOOD)])), upcasts)
    assert [seq for seq, _ in events] == [1]
    assert [(reject.cause, reject.body) for reject in rejected] == [("invalid_event", bad)]


RUN_TAGS = sorted(tag for tag, model in EVENT_TYPES.items() if model in get_args(RunEvent))
PIECES = st.one_of(
    st.sampled_from([GOOD, b"{}", b"null", b'{"type":"x.v3","at_us":1}', b'{"type":"run_archived.v1"}', b"[[],{}]"]),
    st.sampled_from(RUN_TAGS).map(lambda tag: b'{"type":"%b","at_us":3}' % tag.encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(PIECES, max_size=8), st.binary(max_size=20))
def test_each_event_fares_as_it_would_alone(pieces: list[bytes], junk: bytes) -> None:
    together, rejected = decode_events(frame_of(encode_events(list(enumerate(pieces))), end_seq=len(pieces)))
    alone = [decode_events(frame_of(encode_events([(seq, piece)]), end_seq=9)) for seq, piece in enumerate(pieces)]
    assert together == [pair for events, _ in alone for pair in events]
    assert rejected == [reject for _, rejects in alone for reject in rejects]
    assert sorted([seq for seq, _ in together] + [reject.seq for reject in rejected if reject.seq is not None]) == list(
        range(len(pieces))
    )
    assert all(reject.body == pieces[reject.seq] for reject in rejected if reject.seq is not None)
    decode_events(frame_of(junk))


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_text_raises_nothing_and_loses_nothing_before_the_damage(junk: bytes, at: int) -> None:
    text = encode_events([(seq, GOOD) for seq in range(3)])
    at = min(at, len(text))
    events, rejected = decode_events(frame_of(text[:at] + junk + text[at:]))
    whole = text[:at].count(GOOD + b"],")
    assert [seq for seq, _ in events][:whole] == list(range(whole))
    assert len(events) == 3 or rejected
