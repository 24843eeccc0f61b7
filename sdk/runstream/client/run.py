"""A run, as the training code that writes it sees it."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runstream.client import active
from runstream.client.content.assets import Description, keep
from runstream.client.content.histograms import BINS, histogram_bytes
from runstream.client.content.images import image_file
from runstream.client.content.logged import LoggedContent, is_plotly
from runstream.client.content.plain import Conversion, fitted, pieces
from runstream.client.content.tables import csv_bytes
from runstream.client.content.text import clean, reason_of, tag_pieces, usable_tags
from runstream.client.living import LivingRun
from runstream.client.named import Config, Summary
from runstream.client.opening import Opening
from runstream.client.other_methods import matches_of, tell_of_metric, tell_of_watching
from runstream.client.writers import LateWriter, NullWriter
from runstream.events.control import (
    EnvironmentCaptured,
    OthersLogged,
    OutputAppended,
    ParametersLogged,
    RunNotesSet,
    RunRenamed,
    TagsAdded,
    TagsRemoved,
)
from runstream.events.limits import MAX_EVENT_BYTES
from runstream.ids import new_id
from runstream.notices import Notices
from runstream.settings import origin_of
from runstream.spool.format import SpoolCorrupt, WriterInfo
from runstream.spool.values import Problem, clean_step, shown
from runstream.spool.writer import SpoolWriter

if TYPE_CHECKING:
    from runstream.capture.redirect import Stream

#: Problems of one call that are told one by one.
_MAX_TOLD: Final = 10
#: The rest of an asset's event is its name, 6,000 bytes at most, and short texts.
_MAX_METADATA_BYTES: Final = MAX_EVENT_BYTES - 10_000


class Run(LivingRun):
    """One writer on one run: what `init` returns.

    Every method may be called from any thread. None of them raises for bad data, a full disk or an absent server: it
    says once what was left out, and why, and goes on. What a method returned for stands on the disk and survives a
    kill of the process. A forked child that uses a run it inherited gets a writer of its own on the same run; so does
    a process that unpickles one.
    """

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: object = None
    ) -> None:
        """Log numbers by metric name. Any order of steps; without one: one above the highest so far.

        A value is anything that has `__float__`: numbers, bool, scalars of numpy and torch, arrays of one number;
        NaN and the infinities are values. Nested dicts are flattened with "/". Images, figures, histograms (arrays of
        numbers), tables and texts become files of the run under their name and the step, as `log_image` and its like
        keep them. Takes about a microsecond for ten numbers, blocks at most while another thread does the same, and
        never raises.

        commit: with False and no step, the next `log` without one has the same step. sync: taken for scripts that give
        it, and without a meaning.
        """
        if commit is False and step is None:
            self._writer.log_sample(data, self._writer.last_step + 1)
        else:
            self._writer.log_row(data, step)

    def log_params(self, values: Any) -> None:
        """Log hyper-parameters: a mapping, dataclass, pydantic model or argparse.Namespace. Nested ones are flattened
        with "."; what JSON cannot hold becomes its `str`. A later value of a name replaces the earlier one."""
        self._log_parameters(values)
        self.config.remember(values)

    @property
    def config(self) -> Config:
        """The run's parameters as this process gave them: `run.config.lr`, `run.config["lr"] = 0.1`. What is set is
        logged. `run.config(values)` is `log_params`, and so is `run.config = values`."""
        return self._config

    @config.setter
    def config(self, values: Any) -> None:
        self.log_params(values)

    @cached_property
    def _config(self) -> Config:
        return Config(self._log_parameters)

    @cached_property
    def summary(self) -> Summary:
        """The value that this process logged last for each metric: `run.summary["loss"]`. What is set here counts in
        its place, and is kept as by `log_other`."""
        return Summary(self.log_others, lambda: self._writer.last_values())

    def _log_parameters(self, values: Any) -> None:
        with self._never_raising("log_params"):
            conversion = self._conversion("parameter")
            for piece in self._pieces("log_params", values, conversion.parameters(values), conversion):
                self.event(ParametersLogged(at_us=self._writer.at_us(), values=piece))
        self._tell_hidden_soon()

    def log_other(self, name: str, value: Any) -> None:
        """Log a single value that is no parameter: a note, a data set's version, a final score."""
        self.log_others({name: value})

    def log_others(self, values: Mapping[str, Any]) -> None:
        """As `log_other`, for several at once."""
        with self._never_raising("log_others"):
            conversion = self._conversion("value")
            for piece in self._pieces("log_others", values, conversion.values(values), conversion):
                self.event(OthersLogged(at_us=self._writer.at_us(), values=piece))
        self._tell_hidden_soon()

    def add_tags(self, *tags: str | Iterable[str]) -> None:
        """Add tags, given one by one or as lists."""
        with self._never_raising("add_tags"):
            for piece in self._tags("add_tags", tags):
                self.event(TagsAdded(at_us=self._writer.at_us(), tags=piece))

    def remove_tags(self, *tags: str | Iterable[str]) -> None:
        """Remove tags; those that the run does not have are no error."""
        with self._never_raising("remove_tags"):
            for piece in self._tags("remove_tags", tags):
                self.event(TagsRemoved(at_us=self._writer.at_us(), tags=piece))

    def log_text(self, name: str, text: str, *, step: int | None = None) -> str | None:
        """Keep a text as an asset of kind `text`. Returns the asset's id, None if it was left out."""
        with self._never_raising("log_text"):
            data = str(text).encode("utf-8", "replace")
            return self._asset(data, name, "text", step, content_type="text/plain; charset=utf-8")
        return None

    def log_asset(
        self,
        source: str | os.PathLike[str] | bytes | Any,
        name: str | None = None,
        kind: str | None = None,
        step: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Keep a file of the run: a path, bytes, or an open file (read from where it stands).

        It is copied into the spool before this returns, so it may be changed or deleted afterwards. `kind` is guessed
        from the name: image, text, table, audio, video, model or asset. Returns the asset's id, None if left out.
        """
        with self._never_raising("log_asset"):
            return self._asset(source, name, kind, step, metadata)
        return None

    def log_image(
        self,
        image: Any,
        name: str | None = None,
        *,
        step: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Keep a picture: an image file (its path, bytes or an open file), a matplotlib figure, a PIL image, or an
        array or tensor ([height, width, channels], [channels, height, width] or [height, width]). Files are kept as
        they are, anything else as PNG. Without a name it has that of the file, or `image.png`. Returns the asset's id,
        None if left out."""
        with self._never_raising("log_image"):
            file = image_file(image)
            name = name or file.name
            if file.remark:
                about = f"image {str(name)!r} of {getattr(image, 'dtype', type(image).__name__)}: {file.remark}"
                self._tell("log_image", [Problem(f"image {name}", about)])
            return self._asset(file.source, name, "image", step, metadata, file.content_type)
        return None

    def log_figure(self, figure: Any, name: str | None = None, *, step: int | None = None) -> str | None:
        """Keep a figure: of matplotlib (axes too) as PNG, of plotly as its JSON. Returns the asset's id, None if it was
        left out."""
        if not is_plotly(figure):
            return self.log_image(figure, name, step=step)
        with self._never_raising("log_figure"):
            data = figure.to_json().encode()
            return self._asset(data, name or "figure.json", "figure", step, content_type="application/json")
        return None

    def log_histogram(
        self, values: Any, name: str | None = None, *, step: int | None = None, bins: int = BINS
    ) -> str | None:
        """Keep how often numbers of an array, a tensor or a list fall into `bins` ranges of one width: an asset of kind
        `histogram`, JSON with counts, edges, count, nan_count, infinite_count, min, max, mean. Returns its id, None if
        it was left out."""
        with self._never_raising("log_histogram"):
            data = histogram_bytes(values, bins)
            return self._asset(data, name or "histogram.json", "histogram", step, content_type="application/json")
        return None

    def log_table(self, table: Any, name: str | None = None, *, step: int | None = None) -> str | None:
        """Keep a table as CSV: a DataFrame (pandas, polars), an Arrow table, a list of dicts, or what has `columns` and
        `data`. Returns the asset's id, None if it was left out."""
        with self._never_raising("log_table"):
            return self._asset(csv_bytes(table), name or "table.csv", "table", step, content_type="text/csv")
        return None

    def save(self, glob_str: Any = None, base_path: Any = None, policy: str = "live") -> list[str]:
        """Keep the files that match a pattern as they are now (W&B's `save`, whatever `policy` is). They are named by
        their paths from `base_path`, without one from the working directory. Returns the paths of those that are
        kept."""
        del policy
        with self._never_raising("save"):
            found = matches_of(glob_str, base_path)
            self._tell("save", [Problem(f"{one}", one) for one in found.told])
            return [str(path) for path, name in found.files if self.log_asset(path, name) is not None]
        return []

    def define_metric(self, name: Any = None, step_metric: Any = None, **options: Any) -> None:
        """Do nothing, and tell once which options have no meaning here (W&B's `define_metric`): every metric has every
        summary."""
        del name
        tell_of_metric(step_metric, options)

    def watch(self, *_models: Any, **_options: Any) -> None:
        """Do nothing, and tell once what to log instead (W&B's `watch`)."""
        tell_of_watching()

    def unwatch(self, *_models: Any) -> None:
        """Do nothing: no model is watched."""

    def rename(self, name: str) -> None:
        """Give the run another name."""
        with self._never_raising("rename"):
            self.event(RunRenamed(at_us=self._writer.at_us(), name=name))

    def notes(self, text: str) -> None:
        """Set the run's notes; they replace earlier ones."""
        with self._never_raising("notes"):
            self.event(RunNotesSet(at_us=self._writer.at_us(), notes=clean(str(text))))

    # What the rest of the package uses.

    def sample(self, data: Mapping[str, float], step: int) -> None:
        """As `log`, for rows that count steps of their own."""
        self._writer.log_sample(data, step)

    def output(self, stream: "Stream", text: str) -> None:
        """Keep a piece of what was printed."""
        self.event(OutputAppended(at_us=self._writer.at_us(), stream=stream, text=clean(text)))

    def environment(self, section: str, values: Mapping[str, Any]) -> None:
        """Keep facts about what the run runs on."""
        with self._never_raising(f"environment {section}"):
            conversion = self._conversion(section)
            found = conversion.values(values) or {}
            self._tell("environment", conversion.problems)
            for piece in pieces(self.masking.facts(section, found)):
                self.event(EnvironmentCaptured(at_us=self._writer.at_us(), section=section, values=piece))

    def _hand_content(self, writer: SpoolWriter) -> None:
        writer.hand_content_to(LoggedContent(self))

    def _asset(
        self,
        source: Any,
        name: str | os.PathLike[str] | None,
        kind: str | None,
        step: int | None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> str | None:
        if self._closed:
            self._notices.finished(self.run_id)
            return None
        folder = self._writer.assets_folder
        if folder is None:
            return None
        asset_id = new_id()
        described = Description(name, kind, self._step(step), self._metadata(metadata), content_type)
        kept = self.event(keep(source, folder, described, asset_id, self._writer.at_us()))
        return asset_id if kept else None

    def _conversion(self, what: str) -> Conversion:
        return Conversion(what, lambda name, value: str(self.masking.values(what, {name: shown(value)})[name]))

    def _pieces(
        self, call: str, given: object, found: dict[str, Any] | None, conversion: Conversion
    ) -> Iterator[dict[str, Any]]:
        """Yield what `conversion` found in what was given, as events take it."""
        if found is None:
            raise TypeError(f"values of type {type(given).__name__}, {shown(given)}: give a dict")
        self._tell(call, conversion.problems)
        yield from pieces(self.masking.values(conversion.what, found))

    def _tags(self, call: str, tags: Iterable[object]) -> Iterator[tuple[str, ...]]:
        usable, problems = usable_tags(tags)
        self._tell(call, problems)
        yield from tag_pieces(usable)

    def _metadata(self, metadata: Any) -> dict[str, Any]:
        """The metadata of an asset as far as an event takes it."""
        if not metadata:
            return {}
        conversion = self._conversion("metadata")
        found = conversion.values(metadata)
        if found is None:
            what = f"metadata {shown(metadata)} was left out: give a dict"
            conversion.problems.append(Problem(f"metadata {shown(metadata)}", what))
        kept, cut = fitted(self.masking.values("metadata", found or {}), _MAX_METADATA_BYTES)
        limit = (
            f"was cut or left out: all metadata together has at most {_MAX_METADATA_BYTES} bytes, log it as an asset"
        )
        conversion.problems.extend(Problem(f"metadata large {name}", f"metadata {name!r} {limit}") for name in cut)
        self._tell("log_asset", conversion.problems)
        return kept

    def _step(self, step: object) -> int | None:
        """The step of an asset; None for what is no step, which is told."""
        whole, problem = clean_step(step)
        if problem is not None:
            what = f"step {shown(step)} was left out: it is no whole number of 64 bits, give step=int(...)"
            self._tell("log_asset", [Problem(f"step {shown(step)}", what)])
        return whole

    def _tell(self, call: str, problems: list[Problem]) -> None:
        for problem in problems[:_MAX_TOLD]:
            self._notices.once(f"{call} {problem.key}", f"{call}() of run {self.run_id}: {problem.message}")
        if len(problems) > _MAX_TOLD:
            more = f"{len(problems) - _MAX_TOLD} more like these"
            self._notices.once(f"{call} more", f"{call}() of run {self.run_id}: {more} are not shown")

    @contextlib.contextmanager
    def _never_raising(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._notices.warn(f"{what}() of run {self.run_id} was left out: {reason_of(error)}")

    def __reduce__(self) -> tuple[Callable[..., "Run"], tuple[Any, ...]]:
        # A pickle can end up in a checkpoint: the key stays behind, and is read from the writer's folder (mode 0600).
        folder = self._writer.folder or self._parent
        return joined, (self._opening.without_key(), folder, self._finish_timeout_s)


def joined(opening: Opening, parent: Path | None, finish_timeout_s: float) -> Run:
    """The run of another process, to be written from this one: what unpickling a run calls."""
    named = os.environ.get("RUNSTREAM_URL") or opening.url
    api_key = os.environ.get("RUNSTREAM_API_KEY") or None if origin_of(named) == origin_of(opening.url) else None
    if parent is not None:
        with contextlib.suppress(OSError, SpoolCorrupt):
            api_key = WriterInfo.read(parent).api_key
    opening = Opening(**{**{name: getattr(opening, name) for name in Opening.__slots__}, "api_key": api_key})
    run = Run(opening, NullWriter(), Notices(), finish_timeout_s=finish_timeout_s, parent=parent)
    if opening.mode != "disabled":
        run._writer = LateWriter(run._open_late)
        active.remember(run)
    return run
