"""Models of experiments: files of the kind `model`, of which each belongs to one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from runstream_protocols.comet.conventions import experiment_model_id, model_of_file
from runstream_service.lookup import KnownFile, Lookup

_KIND: Final = "model"


async def files_of_model(lookup: Lookup, run_id: str, model: str) -> Sequence[KnownFile]:
    """Return the files of a run's model under their names within it, by name; of several with one name the newest."""
    found: dict[str, KnownFile] = {}
    for file in await lookup.run_files(run_id, _KIND):
        if model_of_file(file.name, file.model) == model:
            name = file.name.removeprefix(f"{model}/")
            found[name] = replace(file, name=name)
    return list(found.values())


async def model_with_id(lookup: Lookup, model_id: str) -> tuple[str, str] | None:
    """Return the run and the name of the model with this id; None if there is none.

    It looks through the files of all models: only clients of long ago name a model without its experiment.
    """
    for file in await lookup.files_of_kind(_KIND):
        model = model_of_file(file.name, file.model)
        if experiment_model_id(file.run, model) == model_id:
            return file.run, model
    return None
