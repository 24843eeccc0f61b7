"""A development server: ClickHouse's HTTP interface in front of its engine in process (chDB).

What it is: a way to have several processes share one real engine over HTTP on a machine without a ClickHouse server,
for trying Runstream's cluster form and for its tests. Queries, inserts and commands run in the real engine, with its
types, functions, tables, merges, deduplication tokens and errors. It is as durable as the store in process: an insert
that was answered with 200 is on the disk, one that found no room on the disk is answered with an error, and SIGKILL at
any moment leaves a directory that opens again.

What it is not: a ClickHouse server. It has one user at most and no grants, no TLS, no native protocol, no Keeper (so
no replicated tables and no ON CLUSTER), no cluster beyond its own databases (`--engine-config`), no sessions
(`session_id` is ignored, temporary tables live for one request), no external tables, no progress headers, no query_id
(KILL QUERY works by other columns), no `decompress=1`, and its responses are never compressed. A response is made whole
in memory before its first byte is sent.
Do not measure ClickHouse by it, and do not let other machines reach it.

Start it with `python -m runstream_infra.dev_clickhouse --data-dir D [--port 0] [--host 127.0.0.1] [--user NAME]`. It
prints one line with its address once it answers. With `--user` requests need that name and the password in
RUNSTREAM_CLICKHOUSE_PASSWORD. SIGTERM and SIGINT end it after the requests that run.
"""
