"""The worker: reads the log, folds, and writes every read model exactly once.

`feed`      records of all partitions, decoded, in bounded batches
`memory`    what is remembered between batches, and what has to be loaded for a batch
`folding`   a batch of records -> rows for every table (no I/O)
`narrowing` which records to take after a fold raised (no I/O)
`guarding`  marks and trials: what is done about records that end the process (`marks`, `suspects`, `trial`)
`claims`    how several workers write one table without doubling a row (no I/O)
`inserting` one insert, as the only writer or under a claim
`writing`   the order of the inserts, one behind the other; the commit row comes last
`loop`      the loop around them, and what happens when one of them fails

The reasoning is in docs/design/exactly-once.md and docs/design/cluster.md.
"""
