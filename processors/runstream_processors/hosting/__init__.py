"""Workers in a cluster: which partitions this process folds, and who tells it.

`partitions`  a worker for every partition that was assigned, started and stopped as assignments come
`faust_app`   Faust as the host: membership of the consumer group, rebalancing, the life of the process

What is assigned only decides who folds what. That nothing is doubled when two processes think that a partition is
theirs is not up to them: see docs/design/cluster.md.
"""
