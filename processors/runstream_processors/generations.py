"""Generations of the read models: which one serves, which one is built, which ones go away. Pure: no I/O, no clock.

A generation is a complete set of tables, folded by one version of each projection, in a database of its own. The store
keeps what happened to each as rows that are only ever added; this module folds them and decides what comes next.
docs/design/generations.md has the steps and what a crash leaves at each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from runstream_model.projections import PROJECTIONS, Projection
from runstream_service.store import StoreInvalid

#: Projection -> version of what its rows mean.
Versions = Mapping[str, int]

#: What tables are of that were made before generations were recorded.
ADOPTED: Final[Versions] = dict.fromkeys(
    (
        "points",
        "summary_states",
        "run_states",
        "attribute_states",
        "asset_states",
        "project_states",
        "experiment_states",
        "artifact_states",
        "artifact_version_states",
        "artifact_contents",
        "artifact_outcomes",
        "output",
        "events",
        "quarantine",
        "watermark_states",
    ),
    1,
)
#: What this build folds.
CURRENT: Final[Versions] = {name: projection.version for name, projection in PROJECTIONS.items()}

#: The first generation has the database that the store was opened with; the others have this behind its name.
_FIRST: Final = 1


class GenerationsMismatch(StoreInvalid):
    """The read models were folded by a newer build; the message says which and what to do."""


class Stage(Enum):
    """What happened to a generation. Each comes after the ones before it, if it comes at all."""

    BUILDING = "building"
    #: Of a cluster: it is whole and was compared. Nothing counts as visible any more that it does not have.
    READY = "ready"
    REFUSED = "refused"
    SERVING = "serving"
    #: Of a cluster: nobody folds it or begins to read it any more; its tables are about to go.
    RETIRED = "retired"
    DROPPED = "dropped"


class RebuildRefused(Exception):
    """The read models cannot be rebuilt now; the message says why, and what to do."""


class Purpose(Enum):
    """Why a generation is built. The value is the detail of its row `building`."""

    #: Versions differ. It takes over if it is equal where it can be compared.
    UPGRADE = ""
    #: `runstream rebuild`: it is compared, and given up again.
    COMPARE = "compare"
    #: `runstream rebuild --replace`: it is compared, and takes over.
    REPLACE = "replace"


Outcome = Literal["building", "equal", "different", "given up"]

#: The detail of a row `retired`: it was to be compared, and nothing differs.
EQUAL: Final = "equal"
#: What puts fresh tables into use.
_REPLACE: Final = "`runstream rebuild --replace` puts fresh tables into use"
#: A generation that came to no other stage is being built.
_BEING_BUILT: Final = frozenset({Stage.BUILDING, Stage.READY})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row: that a generation came to a stage. `detail`: of `building` its purpose, else what the comparison found
    or why it was given up."""

    number: int
    stage: Stage
    versions: Versions
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """A set of read models: its number, and the version of each projection that it was folded by."""

    number: int
    versions: Versions

    def database(self, base: str) -> str:
        """The database that holds its tables, in a store that was opened with the database `base`."""
        return base if self.number == _FIRST else f"{base}_generation_{self.number}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A generation that did not come to serve, because the comparison found a difference; `detail` has it."""

    generation: Generation
    detail: str


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A generation that somebody requested, and what became of it. `detail`: what differs, or why it was given up."""

    generation: int
    replace: bool
    outcome: Outcome = "building"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Generations:
    """What the store has. `building`: the newest that is neither given up nor dropped and does not serve yet; `ready`
    whether it came to that stage, `purpose` why it is built, and `differences` what the comparison found if it takes
    over nevertheless. `rebuild`: the last that was requested. `leftovers`: those whose tables are there and of no use;
    `former`: the ones of them that served and are not retired. `last`: the highest number that was ever given. `rows`:
    so many were read.
    """

    serving: Generation
    building: Generation | None
    refusals: tuple[Refusal, ...]
    leftovers: tuple[Generation, ...]
    last: int
    former: tuple[Generation, ...] = ()
    ready: bool = False
    rows: int = 0
    purpose: Purpose = Purpose.UPGRADE
    differences: str = ""
    rebuild: Rebuild | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A projection whose stored rows are of another version than the code's. `stored` is None: there are none yet."""

    projection: str
    stored: int | None
    wanted: int

    def __str__(self) -> str:
        return f"{self.projection} {self.stored or 'none'} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `build`: the generation to build, or to go on with; None: nothing.

    purpose: why. differences: what the serving generation does not have as the code wants it. obstacle: why nothing is
    built although there are some or a rebuild was requested, and the next step.
    """

    serve: Generation
    build: Generation | None
    drop: tuple[Generation, ...]
    differences: tuple[Difference, ...]
    obstacle: str | None = None
    purpose: Purpose = Purpose.UPGRADE


def first_generation(versions: Versions) -> Recorded:
    """What is recorded of tables that were there before generations were, or that are made now: they serve."""
    return Recorded(_FIRST, Stage.SERVING, versions)


def generations_of(rows: Iterable[Recorded]) -> Generations | None:
    """Fold the rows, in any order and repeated any number of times. None: no generation serves."""
    stages: dict[int, _Stages] = {}
    read = tuple(rows)
    for row in read:
        stages.setdefault(row.number, {})[row.stage] = row
    known = {number: Generation(number, next(iter(found.values())).versions) for number, found in stages.items()}
    served = [number for number, found in stages.items() if Stage.SERVING in found]
    if not served:
        return None
    serving = max(served)
    built = [number for number, found in stages.items() if number > serving and found.keys() <= _BEING_BUILT]
    building = max(built, default=None)
    kept = {serving, building}
    leftovers = [
        number for number, found in sorted(stages.items()) if number not in kept and Stage.DROPPED not in found
    ]
    under_way = stages[building] if building is not None else {}
    return Generations(
        serving=known[serving],
        building=None if building is None else known[building],
        refusals=tuple(
            Refusal(known[number], found[Stage.REFUSED].detail)
            for number, found in sorted(stages.items())
            if number > serving and Stage.REFUSED in found
        ),
        leftovers=tuple(known[number] for number in leftovers),
        last=max(stages),
        former=tuple(known[one] for one in leftovers if one in served and Stage.RETIRED not in stages[one]),
        ready=Stage.READY in under_way,
        rows=len(read),
        purpose=_purpose(under_way),
        differences=under_way[Stage.READY].detail if Stage.READY in under_way else "",
        rebuild=_last_rebuild(stages, building),
    )


_Stages = dict[Stage, Recorded]


def _purpose(found: _Stages) -> Purpose:
    """Why a generation was built, by its rows. Raises GenerationsMismatch for a purpose of a newer build."""
    name = found[Stage.BUILDING].detail if Stage.BUILDING in found else ""
    try:
        return Purpose(name)
    except ValueError:
        raise GenerationsMismatch(
            f"a generation of the read models is built for {name!r}, which this build does not know: it was recorded "
            "by a newer runstream, upgrade this one"
        ) from None


def _last_rebuild(stages: Mapping[int, _Stages], building: int | None) -> Rebuild | None:
    """The requested generation with the highest number."""
    requested = [number for number, found in stages.items() if _purpose(found) is not Purpose.UPGRADE]
    if not requested:
        return None
    number = max(requested)
    found = stages[number]
    replace = _purpose(found) is Purpose.REPLACE
    if number == building:
        return Rebuild(number, replace)
    if Stage.SERVING in found:
        detail = found[Stage.SERVING].detail
        return Rebuild(number, replace, "different" if detail else "equal", detail)
    if Stage.REFUSED in found:
        return Rebuild(number, replace, "different", found[Stage.REFUSED].detail)
    detail = found[Stage.RETIRED].detail if Stage.RETIRED in found else ""
    return Rebuild(number, replace, "equal") if detail == EQUAL else Rebuild(number, replace, "given up", detail)


def differences(stored: Versions, wanted: Versions) -> tuple[Difference, ...]:
    """The projections of `wanted` that `stored` has in another version, or not at all."""
    return tuple(
        Difference(name, stored.get(name), version)
        for name, version in sorted(wanted.items())
        if stored.get(name) != version
    )


def absent_columns(stored: Versions, projections: Mapping[str, Projection] = PROJECTIONS) -> dict[str, frozenset[str]]:
    """By table, the columns that rows of the versions `stored` do not have, because a later version brought them."""
    absent = {
        name: frozenset(column.name for column in projection.stored if column.since > stored.get(name, column.since))
        for name, projection in projections.items()
    }
    return {name: columns for name, columns in absent.items() if columns}


def plan(found: Generations, wanted: Versions, begins: Mapping[int, int]) -> Plan:
    """What to do with the generations of the store so that one of the versions `wanted` comes to serve, or so that the
    one is built that was requested.

    begins: the first offset that the log still has, by partition. A generation is folded from the log's beginning, so
    none is begun where retention took that away. Raises GenerationsMismatch if a newer build folded the tables.
    """
    differing = differences(found.serving.versions, wanted)
    check_not_newer(differing)
    going_on = found.building if found.building is not None and found.building.versions == wanted else None
    purpose = found.purpose if going_on is not None else Purpose.UPGRADE
    obstacle = None
    if purpose is not Purpose.UPGRADE:
        obstacle = _cut_off(found, begins)
    elif differing:
        obstacle = _refused_before(found, wanted) or _cut_off(found, begins)
    is_wanted = bool(differing) or purpose is not Purpose.UPGRADE
    build = None if not is_wanted or obstacle else going_on or Generation(found.last + 1, dict(wanted))
    abandoned = () if found.building in (None, build) else (found.building,)
    return Plan(found.serving, build, (*found.leftovers, *abandoned), differing, obstacle, purpose)


def rebuild_row(found: Generations, wanted: Versions, begins: Mapping[int, int], purpose: Purpose) -> Recorded:
    """Return the row that requests a generation of the versions `wanted`, beside the one that serves.

    Raises RebuildRefused where none can be built now; GenerationsMismatch if a newer build folded the tables.
    """
    building = found.building or plan(found, wanted, begins).build
    if building is not None:
        raise RebuildRefused(
            f"generation {building.number} of the read models is being built: wait until it serves or is given up "
            "(`runstream doctor` shows how far it is)"
        )
    if (reason := _cut_off(found, begins)) is not None:
        raise RebuildRefused(reason)
    return Recorded(found.last + 1, Stage.BUILDING, dict(wanted), purpose.value)


def after_comparison(purpose: Purpose, differing: Iterable[object]) -> tuple[Stage, str]:
    """Return the stage that a generation comes to with what the comparison found, and the detail of that row. READY:
    it may take over."""
    detail = "; ".join(map(str, differing))
    if purpose is Purpose.COMPARE and not detail:
        return Stage.RETIRED, EQUAL
    return (Stage.REFUSED if detail and purpose is not Purpose.REPLACE else Stage.READY), detail


def is_newer(stored: Versions, wanted: Versions) -> bool:
    """Whether a build that folds `wanted` cannot serve rows of the versions `stored`."""
    return any(_is_higher(one) for one in differences(stored, wanted))


def _is_higher(one: Difference) -> bool:
    return one.stored is not None and one.stored > one.wanted


def check_not_newer(differing: Iterable[Difference]) -> None:
    """Raises GenerationsMismatch if stored rows are of a higher version than the code's."""
    for one in differing:
        if _is_higher(one):
            raise GenerationsMismatch(
                f"the rows of {one.projection} are of version {one.stored}, this build folds version {one.wanted}: "
                "they were made by a newer runstream, upgrade this one (or give another data directory or database)"
            )


def _refused_before(found: Generations, wanted: Versions) -> str | None:
    """Why the versions `wanted` are not built once more."""
    for refusal in found.refusals:
        if refusal.generation.versions == wanted:
            return (
                f"{_goes_on(found)}, because generation {refusal.generation.number} was compared with it and differs: "
                f"{refusal.detail}. Find out which is right; {_REPLACE}"
            )
    return None


def _cut_off(found: Generations, begins: Mapping[int, int]) -> str | None:
    """Why no generation can be folded from this log."""
    for part, begin in sorted(begins.items()):
        if begin:
            return (
                f"{_goes_on(found)}, because retention removed the first {begin} records of partition {part} from the "
                "log, and tables made from the rest would hold less. What is new in this version stays unknown for "
                "what was folded before; to have it, restore the older segments of the log from a copy and start again"
            )
    return None


def _goes_on(found: Generations) -> str:
    return f"generation {found.serving.number} goes on serving"
