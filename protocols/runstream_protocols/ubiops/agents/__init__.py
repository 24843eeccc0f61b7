"""Runstream's own interface for agents, which execute the runs that UbiOps' client creates (docs/design/agent.md).

It stands in this folder because all that an agent needs is this client's: names of files, variables, buckets, and which
runs are pending. Agents themselves are `runstream.agent`, which knows these routes and nothing of UbiOps.

`leases`   what a lease is, and what becomes of it: pure
`models`   requests and responses
`holding`  the lease of a request, checked; replacing it
`leasing`  handlers that give, renew, start and release leases
`given`    handlers that give their holder files and variables
`ending`   how a run ends: the handler, what it appends, leases whose agents were lost
`cancelling` what a cancellation does to a lease
`routes`   the table of routes
"""
