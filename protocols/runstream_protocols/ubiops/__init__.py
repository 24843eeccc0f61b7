"""UbiOps Training: what the unmodified `ubiops.Training` writes and reads (docs/ubiops.md).

It writes and reads at the same paths, so that gateways serve all of them.

`paths`       the addresses
`access`      how the client shows its key
`errors`      refusals as it reads them
`presets`     what every project has there from the beginning
`values`      members of requests that UbiOps has rules for
`models`      requests and responses
`side`        what the handlers work with
`found`       which experiments and runs are in a project
`projects`    handlers of projects, environments and buckets
`experiments` handlers of experiments; `variables` those of their variables
`runs`        handlers that write runs; `shown` those that read them
`agents`      Runstream's own interface for those who execute runs
`files`       handlers of files; `tickets` the URLs that authorise themselves
`routes`      the table of routes
"""
