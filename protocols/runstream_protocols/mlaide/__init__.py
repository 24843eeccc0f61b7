"""ML Aide: what the unmodified `mlaide` writes and reads (docs/mlaide.md).

It writes and reads at the same paths, so that gateways serve all of them.

`paths`     the addresses
`access`    how the client shows its key
`errors`    refusals as it reads them
`keys`      its numbers of runs, and our ids
`models`    requests and responses; `artifact_models` those about artifacts
`side`      what the handlers work with, and which run a request is about
`projects`  handlers of projects and experiments
`runs`      handlers that write runs; `shown` those that read them
`artifacts` handlers that write artifacts; `shown_artifacts` those that read them, `finding` which one is meant
`stages`    models, which are versions with a stage
`used`      what runs made and used
`routes`    the table of routes
"""
