"""Which files of an experiment are of which model."""

from collections.abc import Sequence

from runstream_protocols.comet.conventions import experiment_model_id
from runstream_protocols.comet.writes.models import files_of_model, model_with_id
from runstream_service.lookup import KnownFile, NamedFile

RUN = "a" * 32


def file(name: str, sha256: str = "0" * 64, model: str = "") -> KnownFile:
    return KnownFile(name, sha256, 1, "text/plain", model=model)


class Files:
    """The questions of a `Lookup` about files."""

    def __init__(self, *files: KnownFile) -> None:
        self._files = files

    async def run_files(self, run_id: str, kind: str) -> Sequence[KnownFile]:
        return self._files if (run_id, kind) == (RUN, "model") else ()

    async def files_of_kind(self, kind: str) -> Sequence[NamedFile]:
        return [NamedFile(RUN, one.name, one.model) for one in self._files if kind == "model"]


async def test_files_of_a_model_have_their_names_within_it() -> None:
    lookup = Files(file("net/a"), file("net/deep/b", model="net"), file("other/c"), file("alone"))
    found = await files_of_model(lookup, RUN, "net")  # type: ignore[arg-type]
    assert [one.name for one in found] == ["a", "deep/b"]
    assert [one.name for one in await files_of_model(lookup, RUN, "alone")] == ["alone"]  # type: ignore[arg-type]


async def test_the_newest_file_of_a_name_counts() -> None:
    lookup = Files(file("net/a", "1" * 64), file("net/a", "2" * 64))
    (found,) = await files_of_model(lookup, RUN, "net")  # type: ignore[arg-type]
    assert found.sha256 == "2" * 64


async def test_a_model_is_found_by_its_id() -> None:
    lookup = Files(file("net/a"), file("other/c"))
    assert await model_with_id(lookup, experiment_model_id(RUN, "other")) == (RUN, "other")  # type: ignore[arg-type]
    assert await model_with_id(lookup, "0" * 32) is None  # type: ignore[arg-type]
