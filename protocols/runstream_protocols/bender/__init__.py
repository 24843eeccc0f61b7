"""Bender: what the unmodified `bender-client` writes and reads (docs/bender.md).

It writes and reads at the same paths, so that gateways serve all of them.

`paths`       the addresses
`tokens`      the tokens that its login gives out
`access`      how the client shows its token
`login`       handlers of the login
`keys`        its names, and ours
`models`      requests and responses
`side`        what the handlers work with, and which thing a request is about
`spaces`      hyperparameters and metrics as it writes them
`experiments` handlers of experiments; `algos` of algorithms
`trials`      handlers that write trials; `shown` those that read them
`suggesting`  the handler that says what to try next
`routes`      the table of routes
"""
