"""Run state against an oracle that keeps plain dictionaries, over random events of several writers in any order."""

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events import control
from runstream.events.control import RunEvent
from runstream_model.run_state import RunState, fold, from_json, open_writers, row_from_state, to_json
from runstream_model.writer_marks import WriterMark, has_ended

Step = tuple[str, RunEvent]

WRITERS = ("a" * 32, "b" * 32, "c" * 32)
TIMES = st.integers(0, 12)  # few, so that they tie and run backwards
TEXTS = st.sampled_from(["", "x", "NaN loss", "größe 😀 \u2028"])
NAMES = st.sampled_from(["p1", "p2", "größe"])
TAGS = st.lists(st.sampled_from(["t1", "t2", "t3"]), max_size=3).map(tuple)
MAYBE_NAMES = st.none() | NAMES
MAYBE_TIMES = st.none() | TIMES
MAYBE_TEXTS = st.none() | TEXTS


def _of(model: type[RunEvent], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[RunEvent]:
    return st.builds(model, at_us=TIMES, **fields)


STARTS = _of(
    control.RunStarted,
    workspace=NAMES,
    project=NAMES,
    experiment=MAYBE_NAMES,
    name=MAYBE_NAMES,
    group=MAYBE_TEXTS,
    job_type=MAYBE_TEXTS,
    rank=st.sampled_from([None, 0, 1]),
    resumed=st.booleans(),
    resumed_at_step=st.none() | st.integers(0, 3),
    heartbeats=st.sampled_from([None, None, False]),
    user=MAYBE_TEXTS,
    host=MAYBE_TEXTS,
)
ENDS = st.one_of(
    _of(control.RunFinished, status=st.sampled_from(["finished", "failed", "killed"]), message=MAYBE_TEXTS),
    _of(control.WriterLost, reason=TEXTS),
)
OTHERS = [
    _of(control.RunStatusChanged, status=st.sampled_from(["running", "finished", "failed", "killed"]), message=TEXTS),
    _of(control.RunTimesSet, started_at_us=MAYBE_TIMES, ended_at_us=MAYBE_TIMES),
    _of(control.ParametersLogged, values=st.just({"lr": 0.1})),
    _of(control.ParametersDeleted, names=st.just(("lr",))),
    _of(control.OthersLogged, values=st.just({"note": "x"})),
    _of(
        control.EnvironmentCaptured,
        section=st.sampled_from(["git", "host"]),
        values=st.dictionaries(st.sampled_from(["user", "hostname", "commit"]), st.just(7) | NAMES, max_size=2),
    ),
    _of(control.TagsAdded, tags=TAGS),
    _of(control.TagsRemoved, tags=TAGS),
    _of(control.AssetLogged, asset_id=NAMES, name=NAMES, sha256=st.just("0" * 64), size_bytes=st.just(1)),
    _of(control.AssetDeleted, asset_id=NAMES),
    _of(control.OutputAppended, stream=st.just("stdout"), text=TEXTS),
    _of(control.PointsDropped, count=st.integers(1, 2**63 - 1), reason=TEXTS),
    _of(control.RunRenamed, name=NAMES),
    _of(control.RunMoved, workspace=NAMES, project=NAMES, experiment=MAYBE_NAMES),
    _of(control.RunLinked, workspace=NAMES, project=NAMES),
    _of(control.RunUnlinked, workspace=NAMES, project=NAMES),
    _of(control.RunNotesSet, notes=TEXTS),
    _of(control.RunArchived),
    _of(control.RunRestored),
    _of(control.RunDeleted),
]
# Starts and ends are where the rules are, so they come as often as all else together.
HISTORIES = st.lists(st.tuples(st.sampled_from(WRITERS), st.one_of(STARTS, ENDS, st.one_of(OTHERS))), max_size=14)
#: Short stories of starts and ends alone, at times that often tie: who takes whose place shows only in these.
FEW_TIMES = st.integers(0, 2)
ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(WRITERS),
        st.one_of(
            st.builds(
                control.RunStarted,
                at_us=FEW_TIMES,
                workspace=st.just("w"),
                project=st.just("p"),
                rank=st.sampled_from([None, 0]),
                resumed=st.booleans(),
                heartbeats=st.sampled_from([None, None, False]),
            ),
            st.builds(control.RunFinished, at_us=FEW_TIMES, status=st.sampled_from(["finished", "failed"])),
            st.builds(control.WriterLost, at_us=FEW_TIMES, reason=st.just("gone")),
        ),
    ),
    min_size=2,
    max_size=8,
)

#: They change the row, and not when it was last changed.
BESIDES = ("run_linked.v1", "run_unlinked.v1")
ELSEWHERE = ("parameters_", "others_", "environment_", "asset_", "output_")


def oracle(history: list[Step]) -> dict[str, Any]:
    """The row of a run with this history, worked out from the whole of it at once, question by question."""
    facts = [(number, writer, event.model_dump()) for number, (writer, event) in enumerate(history)]
    own = _oracle_heeded([fact for fact in facts if not fact[2]["type"].startswith(ELSEWHERE)])
    created = facts[0][2]["at_us"]
    starts = [(number, writer, fact) for number, writer, fact in own if fact["type"] == "run_started.v1"]
    times = [fact for fact in own if fact[2]["type"] == "run_times_set.v1"]
    last_start = starts[-1][0] if starts else -1
    place = _oracle_place(own)
    set_starts = [f["started_at_us"] for _, _, f in times if f["started_at_us"] is not None]
    set_ends = [f["ended_at_us"] for number, _, f in times if f["ended_at_us"] is not None and number > last_start]
    status, message, ended = _oracle_status(own, starts, set_ends)
    by_hand = _oracle_by_hand(own, starts)
    return {
        **place,
        "name": _oracle_name(own) or "run",
        "status": status,
        "message": message,
        "user": next((fact["user"] for _, _, fact in starts if fact["user"]), _oracle_captured(facts, "user")),
        "host": next((fact["host"] for _, _, fact in starts if fact["host"]), _oracle_captured(facts, "hostname")),
        "notes": next((fact["notes"] for _, _, fact in reversed(own) if fact["type"] == "run_notes_set.v1"), ""),
        "tags": _oracle_tags(own),
        "created_at": created,
        "started_at": set_starts[-1] if set_starts else min((fact["at_us"] for _, _, fact in starts), default=created),
        "ended_at": set_ends[-1] if set_ends else ended,
        "updated_at": max([created, *(fact["at_us"] for _, _, fact in own if fact["type"] not in BESIDES)]),
        "archived": _oracle_flag(own, "run_archived.v1"),
        "deleted": _oracle_flag(own, "run_deleted.v1"),
        "points_dropped": min(sum(f["count"] for _, _, f in own if f["type"] == "points_dropped.v1"), 2**64 - 1),
        "links": _oracle_links(own),
        "set_running": by_hand is not None and by_hand[0] == "running",
        "group": next((fact["group"] for _, _, fact in reversed(starts) if fact["group"]), ""),
        "job_type": next((fact["job_type"] for _, _, fact in reversed(starts) if fact["job_type"]), ""),
    }


def _oracle_captured(facts: list[Any], name: str) -> str:
    """What the environment said last of the run's user or host."""
    values = [fact["values"].get(name) for _, _, fact in facts if fact.get("section") == "host"]
    return next((value for value in reversed(values) if isinstance(value, str)), "")


def _oracle_links(own: list[Any]) -> list[str]:
    links: list[str] = []
    for _, _, fact in own:
        if fact["type"] in BESIDES:
            project = f"{fact['workspace']}/{fact['project']}"
            links = [link for link in links if link != project or fact["type"] == "run_linked.v1"]
            links += [project] if fact["type"] == "run_linked.v1" and project not in links else []
    return links


def _oracle_status(own: list[Any], starts: list[Any], set_ends: list[int]) -> tuple[str, str, int | None]:
    if by_hand := _oracle_by_hand(own, starts):
        return by_hand
    running: dict[str, int | None] = {}  # writer -> rank
    ends: list[tuple[str, str, str, int, int | None]] = []  # writer, status, message, time, rank; in log order
    replaced: dict[str, int] = {}  # writer -> when
    for _, writer, fact in own:
        if fact["type"] == "run_started.v1":
            if fact["resumed"]:
                known = {**running, **{end[0]: end[4] for end in ends}}
                nobody = not [other for other in running if other != writer and other not in replaced]
                for other, rank in known.items():
                    if other not in replaced and (nobody or rank == fact["rank"]):
                        replaced[other] = fact["at_us"]
            running.pop(writer, None)
            replaced.pop(writer, None)
            ends = [end for end in ends if end[0] != writer]
            running[writer] = fact["rank"]
        elif fact["type"] in ("run_finished.v1", "writer_lost.v1"):
            before = [end for end in ends if end[0] == writer]
            lost = fact["type"] == "writer_lost.v1"
            rank = before[0][4] if before else running.get(writer)
            if not lost and writer in replaced and fact["at_us"] > replaced[writer]:
                del replaced[writer]
            running.pop(writer, None)
            ends = [end for end in ends if end[0] != writer]
            what = "crashed" if lost else fact["status"]
            ends.append((writer, what, (fact["reason"] if lost else fact["message"]) or "", fact["at_us"], rank))
    ends = [end for end in ends if end[0] not in replaced]
    running = {writer: rank for writer, rank in running.items() if writer not in replaced}
    silent = {writer for writer in running if _sends_no_heartbeats(writer, starts)}
    if running.keys() - silent or not ends:
        if running and running.keys() == silent and set_ends:
            return "finished", "", set_ends[-1]
        return "running", "", None
    strongest = min(ends, key=lambda end: ["failed", "crashed", "killed", "finished"].index(end[1]))
    return strongest[1], strongest[2], max(end[3] for end in ends)


def _oracle_by_hand(own: list[Any], starts: list[Any]) -> tuple[str, str, int | None] | None:
    """What somebody set, unless a start came after it, or, of a run that was set running, the end of a writer."""
    by_hand = [fact for fact in own if fact[2]["type"] == "run_status_changed.v1"]
    if not by_hand or (starts and by_hand[-1][0] < starts[-1][0]):
        return None
    number, _, fact = by_hand[-1]
    if fact["status"] != "running":
        return fact["status"], fact["message"], fact["at_us"]
    for _, _, later in own[[one[0] for one in own].index(number) + 1 :]:
        if later.get("ended_at_us") is not None:
            return "finished", "", later["ended_at_us"]
        if later["type"] == "run_finished.v1":
            return None
    return "running", fact["message"], None


def _sends_no_heartbeats(writer: str, starts: list[Any]) -> bool:
    last = [fact for _, by, fact in starts if by == writer][-1:]
    return bool(last) and last[0]["heartbeats"] is False


def _oracle_heeded(own: list[Any]) -> list[Any]:
    """Without the losses of writers that had ended before, which are no news."""
    heeded, ended = [], set()
    for number, writer, fact in own:
        if fact["type"] == "writer_lost.v1" and writer in ended:
            continue
        if fact["type"] in ("run_finished.v1", "writer_lost.v1"):
            ended.add(writer)
        elif fact["type"] == "run_started.v1":
            ended.discard(writer)
        heeded.append((number, writer, fact))
    return heeded


def _oracle_place(own: list[Any]) -> dict[str, str]:
    moves = [fact for _, _, fact in own if fact["type"] == "run_moved.v1"]
    naming = moves[-1:] or [fact for _, _, fact in own if fact["type"] == "run_started.v1"][:1]
    if not naming:
        return {"workspace": "default", "project": "default", "experiment": ""}
    return {
        "workspace": naming[0]["workspace"],
        "project": naming[0]["project"],
        "experiment": naming[0]["experiment"] or "",
    }


def _oracle_name(own: list[Any]) -> str | None:
    names = [fact for _, _, fact in own if fact["type"] in ("run_started.v1", "run_renamed.v1") and fact["name"]]
    renames = [fact["name"] for fact in names if fact["type"] == "run_renamed.v1"]
    return renames[-1] if renames else names[0]["name"] if names else None


def _oracle_tags(own: list[Any]) -> list[str]:
    tags: dict[str, None] = {}
    for _, _, fact in own:
        for tag in fact.get("tags", ()):
            if fact["type"] == "tags_added.v1":
                tags.setdefault(tag)
            else:
                tags.pop(tag, None)
    return list(tags)


def _oracle_flag(own: list[Any], kind: str) -> bool:
    last = [fact["type"] for _, _, fact in own if fact["type"] in (kind, "run_restored.v1")]
    return last[-1:] == [kind]


def fold_all(history: list[Step], state: RunState | None = None) -> RunState | None:
    for writer, event in history:
        state = fold(state, event, writer)
    return state


def test_every_event_of_the_union_is_generated() -> None:
    generated = {strategy.wrapped_strategy.target for strategy in OTHERS}  # type: ignore[attr-defined]
    generated |= {control.RunStarted, control.RunFinished, control.WriterLost}
    assert generated == set(get_args(RunEvent))


@settings(max_examples=examples(300), deadline=None)
@given(HISTORIES)
def test_every_prefix_equals_the_oracle(history: list[Step]) -> None:
    check_prefixes(history)


@settings(max_examples=examples(1_000), deadline=None)
@given(ATTEMPTS)
def test_attempts_that_start_end_and_resume_equal_the_oracle(history: list[Step]) -> None:
    check_prefixes(history)


def check_prefixes(history: list[Step]) -> None:
    state = None
    for number, (writer, event) in enumerate(history):
        state = fold(state, event, writer)
        row = row_from_state("run", state, 3, number)
        assert from_json(row.pop("state")) == state
        assert row == {"run": "run", "part": 3, "offset": number, **oracle(history[: number + 1])}


@settings(max_examples=examples(200), deadline=None)
@given(HISTORIES, st.lists(st.integers(0, 14)))
def test_any_chunking_with_a_stored_state_in_between_gives_the_same_bytes(history: list[Step], cuts: list[int]) -> None:
    whole = fold_all(history)
    state: RunState | None = None
    begin = 0
    for end in [*sorted(cuts), len(history)]:
        state = fold_all(history[begin:end], state)
        begin = max(begin, end)
        if state is not None:
            state = from_json(to_json(state))
    assert state == whole
    if state is not None and whole is not None:
        # Also the order of the writers, which dictionaries leave out when they are compared.
        assert to_json(state) == to_json(whole)


@settings(max_examples=examples(200), deadline=None)
@given(HISTORIES.filter(bool))
def test_folding_changes_no_state_that_it_was_given(history: list[Step]) -> None:
    state = fold_all(history[:-1])
    before = None if state is None else to_json(state)
    writer, event = history[-1]
    after = fold(state, event, writer)
    assert (None if state is None else to_json(state)) == before
    if state is not None and event.type.startswith(ELSEWHERE) and getattr(event, "section", "") != "host":
        assert after is state


def test_a_placeholder_is_what_an_event_elsewhere_makes() -> None:
    state = fold(None, control.ParametersLogged(at_us=7, values={"lr": 1}), WRITERS[0])
    row = row_from_state("r-1", state, 0, 0)
    assert (row["workspace"], row["project"], row["name"], row["status"]) == ("default", "default", "r-1", "running")
    assert (row["created_at"], row["started_at"], row["ended_at"]) == (7, 7, None)


@given(HISTORIES)
def test_marks_and_state_agree_on_who_has_ended(history: list[Step]) -> None:
    state: RunState | None = None
    for writer, event in history:
        state = fold(state, event, writer)
    running = {
        writer
        for writer in WRITERS
        if not has_ended(WriterMark().ended, [event for by, event in history if by == writer])
    }
    assert running == set(open_writers(state) if state is not None else ())
