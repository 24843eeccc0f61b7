"""The parts of `API`, each over the one `Session`: `api.runs`, `api.series`, `api.artifacts`, ..."""
