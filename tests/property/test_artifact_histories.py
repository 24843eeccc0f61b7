"""Random histories of an artifact, against a model that keeps nothing but lists; and crashes between any two tables."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events.artifacts import (
    AddedFile,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionReserved,
    ArtifactVersionUpdated,
)
from runstream_model.artifact_rows import ARTIFACTS, CONTENTS, FILES, OUTCOMES, REMARKS, VERSIONS, ArtifactRows
from runstream_model.artifact_state import Decision, from_json, to_json
from runstream_model.artifacts import fold_artifact
from runstream_model.source import Source

PLACE: dict[str, Any] = {"workspace": "w", "project": "p", "artifact_type": "panel", "name": "n"}
LABELS = st.lists(st.sampled_from("abc"), max_size=3).map(tuple)
ORDINALS = st.integers(1, 7)
TIMES = st.integers(0, 50)
EVENTS: st.SearchStrategy[ArtifactEvent] = st.one_of(
    st.builds(partial(ArtifactCreated, **PLACE), at_us=TIMES, description=st.sampled_from("xy")),
    st.builds(partial(ArtifactUpdated, **PLACE), at_us=TIMES, notes=st.sampled_from("xy")),
    st.builds(partial(ArtifactDeleted, **PLACE), at_us=TIMES),
    st.builds(
        partial(ArtifactVersionLogged, **PLACE),
        at_us=TIMES,
        version=st.none() | st.sampled_from(("1", "2", "4", "1.0")),
        aliases=LABELS,
        comment=st.sampled_from("xy"),
        ordinal=st.none() | ORDINALS,
        open=st.sampled_from((None, True)),
    ),
    st.builds(
        partial(ArtifactFilesAdded, **PLACE),
        at_us=TIMES,
        ordinal=ORDINALS,
        files=st.lists(
            st.builds(
                partial(AddedFile, sha256="0" * 64),
                name=st.sampled_from(("a", "../b", "a/b")),
                size_bytes=st.sampled_from((0, 3, 2**62)),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    st.builds(
        partial(ArtifactVersionReserved, **PLACE),
        at_us=TIMES,
        version=st.none() | st.sampled_from(("1", "2", "4", "1.0")),
        aliases=LABELS,
    ),
    st.builds(
        partial(ArtifactVersionUpdated, **PLACE),
        at_us=TIMES,
        ordinal=ORDINALS,
        aliases=st.none() | LABELS,
        aliases_removed=LABELS,
        aliases_added=LABELS,
        comment=st.none() | st.sampled_from("xy"),
    ),
    st.builds(partial(ArtifactVersionDeleted, **PLACE), at_us=TIMES, ordinal=ORDINALS),
    st.builds(
        partial(ArtifactVersionRemarked, **PLACE), at_us=TIMES, ordinal=ORDINALS, remark=st.just({"checked": True})
    ),
)
HISTORIES = st.lists(EVENTS, max_size=25)


@dataclass
class Model:
    """Versions as a list of [ordinal, text, aliases, comment, remarks, files by name]; None: there is no artifact. Of a
    version that is not open files are None."""

    versions: list[list[Any]] | None = None
    given: int = 0
    text: tuple[str, str] = ("", "")
    #: Text, aliases and comment of what was announced, by number.
    reserved: dict[int, list[Any]] = field(default_factory=dict)
    refused: list[bool] = field(default_factory=list)

    def apply(self, event: ArtifactEvent) -> None:
        self.refused.append(not self._try(event))

    def _try(self, event: ArtifactEvent) -> bool:
        match event:
            case ArtifactCreated():
                if self.versions is not None:
                    return False
                self.versions, self.text = [], (event.description, "")
            case ArtifactVersionReserved():
                return self._reserve(event)
            case ArtifactVersionLogged(ordinal=int()):
                return self._log_reserved(event)
            case ArtifactVersionLogged():
                return self._log(event)
            case _ if self.versions is None:
                return False
            case ArtifactUpdated():
                self.text = (self.text[0], event.notes or "")
            case ArtifactDeleted():
                self.versions, self.reserved = None, {}
            case ArtifactVersionDeleted() if event.ordinal in self.reserved:
                del self.reserved[event.ordinal]
            case ArtifactVersionUpdated() if event.ordinal in self.reserved:
                found = [event.ordinal, *self.reserved[event.ordinal]]
                self._say(found, event, found[2])
                self.reserved[event.ordinal] = found[1:]
            case ArtifactVersionDeleted() | ArtifactVersionUpdated() | ArtifactVersionRemarked() | ArtifactFilesAdded():
                found = [version for version in self.versions if version[0] == event.ordinal]
                if not found:
                    return False
                if isinstance(event, ArtifactVersionDeleted):
                    self.versions.remove(found[0])
                elif isinstance(event, ArtifactVersionRemarked):
                    found[0][4] += 1
                elif isinstance(event, ArtifactFilesAdded):
                    if found[0][5] is None:
                        return False
                    for file in event.files:
                        found[0][5][file.name] = file.size_bytes
                else:
                    self._update(found[0], event)
        return True

    def _reserve(self, event: ArtifactVersionReserved) -> bool:
        texts = self._texts()
        text = event.version or f"{max((int(text.partition('.')[0]) for text in texts), default=0) + 1}.0.0"
        if text in texts:
            return False
        if self.versions is None:
            self.versions, self.text = [], ("", "")
        self.given += 1
        self.reserved[self.given] = [text, sorted(set(event.aliases)), ""]
        return True

    def _log_reserved(self, event: ArtifactVersionLogged) -> bool:
        if self.versions is None or event.ordinal not in self.reserved:
            return False
        text, aliases, _ = self.reserved.pop(event.ordinal)
        self.versions.append([event.ordinal, text, [], event.comment, 0, {} if event.open else None])
        self._take(self.versions[-1], (*aliases, *event.aliases))
        return True

    def _texts(self) -> list[str]:
        return [version[1] for version in self.versions or []] + [one[0] for one in self.reserved.values()]

    def _log(self, event: ArtifactVersionLogged) -> bool:
        versions = self.versions or []
        texts = self._texts()
        ordinal = self.given + 1
        while event.version is None and str(ordinal) in texts:
            ordinal += 1
        text = event.version or str(ordinal)
        if text in texts:
            return False
        if self.versions is None:
            self.text = ("", "")
        self.given, self.versions = (
            ordinal,
            [*versions, [ordinal, text, [], event.comment, 0, {} if event.open else None]],
        )
        self._take(self.versions[-1], event.aliases)
        return True

    def _update(self, version: list[Any], event: ArtifactVersionUpdated) -> None:
        before, version[2] = version[2], []
        self._say(version, event, before)
        self._take(version, tuple(version[2]))

    def _say(self, version: list[Any], event: ArtifactVersionUpdated, before: list[str]) -> None:
        aliases = before if event.aliases is None else list(event.aliases)
        kept = [alias for alias in aliases if alias not in event.aliases_removed]
        version[2] = sorted({*kept, *event.aliases_added})
        version[3] = version[3] if event.comment is None else event.comment

    def _take(self, taker: list[Any], aliases: tuple[str, ...]) -> None:
        for alias in aliases:
            for version in self.versions or []:
                if alias in version[2]:
                    version[2].remove(alias)
        taker[2] = sorted(set(aliases))


@settings(max_examples=examples(300), deadline=None)
@given(HISTORIES)
def test_the_fold_agrees_with_the_model(history: list[ArtifactEvent]) -> None:
    model, decision = Model(), Decision(None)
    for event in history:
        before = decision.state
        decision = fold_artifact(before, event)
        model.apply(event)
        state = decision.state
        assert bool(decision.refused) == model.refused[-1]
        if decision.refused:
            assert state is before
        if model.versions is None:
            assert state is None or (state.deleted and not state.versions)
            continue
        assert state is not None
        found = [
            [v.ordinal, v.version, sorted(v.aliases), v.comment, v.remarks, v.added_to] for v in state.versions.values()
        ]
        assert sorted(found, key=repr) == sorted(model.versions, key=repr)
        sizes = {v.ordinal: v.added_to.values() for v in state.versions.values() if v.added_to is not None}
        counts = {v.ordinal: (v.files, v.size_bytes) for v in state.versions.values() if v.is_open}
        assert counts == {ordinal: (len(some), min(sum(some), 2**63 - 1)) for ordinal, some in sizes.items()}
        assert (state.description, state.notes) == model.text
        assert state.aliases == {alias: v.ordinal for v in state.versions.values() for alias in v.aliases}
        assert state.texts == {v.version: v.ordinal for v in state.versions.values()}
        assert state.chars == sum(v.chars for v in state.versions.values())
        assert from_json(to_json(state)) == state


class Tables:
    """What is stored: rows that were added, and the newest row of each key; and where each table ends."""

    def __init__(self) -> None:
        self.added: list[dict[str, Any]] = []
        self.newest: dict[Any, dict[str, Any]] = {}
        self.ends = dict.fromkeys((OUTCOMES, CONTENTS, FILES, REMARKS, VERSIONS, ARTIFACTS), -1)

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if table in (VERSIONS, ARTIFACTS):
                self.newest[table, row["artifact"], row.get("ordinal")] = row
            else:
                self.added.append({"table": table, **row})
            self.ends[table] = max(self.ends[table], row["offset"])

    def contents(self) -> tuple[list[str], dict[Any, dict[str, Any]]]:
        return sorted(map(repr, self.added)), self.newest


def folded(history: list[ArtifactEvent], cuts: list[tuple[int, int]]) -> Tables:
    """Fold, flushing after every so many events; after each flush so many of its tables are written before a crash
    (6 and more: all of them, and no crash). The beginning of a start is the last flush that was whole."""
    tables, committed, turn = Tables(), 0, 0
    while committed < len(history):
        rows, known = ArtifactRows(), {}
        for (table, artifact, _), row in tables.newest.items():
            if table == ARTIFACTS:
                known[artifact] = from_json(row["state"])
        ends, at = dict(tables.ends), committed
        while at < len(history):
            size, written = cuts[turn % len(cuts)] if turn < 3 * len(history) else (len(history), 6)
            turn += 1
            for offset in range(at, min(at + size, len(history))):
                beyond = {table: offset > end for table, end in ends.items()}
                rows.fold(known, history[offset], Source("w", offset, 0, offset), beyond.__getitem__)
            at = min(at + size, len(history))
            for table, found in list(rows.take().items())[:written]:
                tables.insert(table, found)
            if written < 6:
                break
            committed = at
    return tables


@settings(max_examples=examples(200), deadline=None)
@given(HISTORIES, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 8)), min_size=1, max_size=6))
def test_batches_and_crashes_between_tables_change_nothing(
    history: list[ArtifactEvent], cuts: list[tuple[int, int]]
) -> None:
    whole = folded(history, [(len(history) or 1, 6)])
    assert folded(history, cuts).contents() == whole.contents()
    assert len(whole.added) >= len(history)
