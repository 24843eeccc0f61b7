-- The read models. Every row says which record of the log it comes from (part, offset): that is how a table knows
-- where to go on after a crash (docs/design/exactly-once.md). A migration that was applied is never edited.
--
-- Tables whose name ends in _states hold the newest state of a key under a growing offset; older states go away in
-- merges, and the view of the same name without the ending reads the newest.

-- Settings of every table. A part is on the disk, not in its cache, before the insert returns, and a merged one before
-- its sources go: otherwise a power cut could take rows that the commit row says are there. A broken part stops the
-- table from loading, instead of being put aside in silence. Statistics of columns cost a fifth of a merge and no
-- query of ours asks for them. States are looked up for a few hundred runs at a time, so their granules are small.

-- One row a point. `writer` is the first 64 bits of the writer's id: enough to tell the writers of one run apart.
CREATE TABLE IF NOT EXISTS points
(
    run     LowCardinality(String),
    metric  LowCardinality(String),
    step    Int64                   CODEC(Delta, LZ4),
    at      DateTime64(6, 'UTC')    CODEC(Delta, T64, ZSTD(1)),
    value   Float64                 CODEC(Gorilla, ZSTD(1)),
    writer  UInt64                  CODEC(ZSTD(1)),
    part    UInt16                  CODEC(ZSTD(1)),
    offset  UInt64                  CODEC(Delta, ZSTD(1)),
    INDEX position (part, offset) TYPE minmax GRANULARITY 64,
    -- What a panel draws: 256 steps in one row. Exact, because a bucket is a set of steps, not of inserts. Made by
    -- merges, because making it halves the speed of an insert; a part that has none yet is scanned. Reads must use
    -- these very expressions. Where count() = countIf(isNaN(value)), minIf and maxIf are 0 and mean nothing.
    PROJECTION curve
    (
        SELECT
            run, metric, intDiv(step, 256),
            count(), countIf(isNaN(value)),
            minIf(value, NOT isNaN(value)), maxIf(value, NOT isNaN(value)), sumIf(value, NOT isNaN(value)),
            min(step), max(step)
        GROUP BY run, metric, intDiv(step, 256)
    )
)
ENGINE = MergeTree ORDER BY (run, metric, step)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    materialize_projections_on_insert = 0, materialize_projections_on_merge = 1;

-- One row a (run, metric): exact over all points. minimum and maximum leave NaN out and are NaN if nothing is left.
-- first and last are the ends of the curve: lowest and highest (step, at). `total` is the correctly rounded sum;
-- total_exponent and total_digits are the exact sum it is rounded from (runstream_processors.folds.exact_sum).
CREATE TABLE IF NOT EXISTS summary_states
(
    run             LowCardinality(String),
    metric          LowCardinality(String),
    count           UInt64,
    nan_count       UInt64,
    minimum         Float64, minimum_step Int64, minimum_at DateTime64(6, 'UTC'),
    maximum         Float64, maximum_step Int64, maximum_at DateTime64(6, 'UTC'),
    first           Float64, first_step Int64, first_at DateTime64(6, 'UTC'),
    last            Float64, last_step Int64, last_at DateTime64(6, 'UTC'),
    total           Float64,
    total_exponent  Int32,
    total_digits    Array(Int64),
    part            UInt16,
    offset          UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (run, metric)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- One row a run. `state` is the whole folded state as JSON: what the fold goes on from after a start.
CREATE TABLE IF NOT EXISTS run_states
(
    run             String,
    workspace       LowCardinality(String),
    project         LowCardinality(String),
    experiment      LowCardinality(String),
    name            String,
    status          LowCardinality(String),
    message         String,
    user            LowCardinality(String),
    host            LowCardinality(String),
    notes           String,
    tags            Array(String),
    created_at      DateTime64(6, 'UTC'),
    started_at      DateTime64(6, 'UTC'),
    ended_at        Nullable(DateTime64(6, 'UTC')),
    updated_at      DateTime64(6, 'UTC'),
    archived        Bool,
    deleted         Bool,
    points_dropped  UInt64,
    state           String CODEC(ZSTD(3)),
    part            UInt16,
    offset          UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- Parameters, other values and the environment. `value` is JSON; `text` what a person would read (a string without
-- quotes); `number` the same as a number, for numbers and booleans. kind: parameter, other, environment.
CREATE TABLE IF NOT EXISTS attribute_states
(
    run     LowCardinality(String),
    kind    LowCardinality(String),
    name    LowCardinality(String),
    value   String,
    text    String,
    number  Nullable(Float64),
    at      DateTime64(6, 'UTC'),
    deleted Bool,
    part    UInt16,
    offset  UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (run, kind, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

CREATE TABLE IF NOT EXISTS asset_states
(
    run             LowCardinality(String),
    asset           String,
    name            String,
    kind            LowCardinality(String),
    sha256          String,
    size_bytes      UInt64,
    content_type    LowCardinality(String),
    step            Nullable(Int64),
    metadata        String,
    at              DateTime64(6, 'UTC'),
    deleted         Bool,
    part            UInt16,
    offset          UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (run, asset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

CREATE TABLE IF NOT EXISTS project_states
(
    workspace   LowCardinality(String),
    project     String,
    description String,
    notes       String,
    created_at  DateTime64(6, 'UTC'),
    updated_at  DateTime64(6, 'UTC'),
    deleted     Bool,
    part        UInt16,
    offset      UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (workspace, project)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

CREATE TABLE IF NOT EXISTS experiment_states
(
    workspace   LowCardinality(String),
    project     String,
    experiment  String,
    description String,
    created_at  DateTime64(6, 'UTC'),
    updated_at  DateTime64(6, 'UTC'),
    deleted     Bool,
    part        UInt16,
    offset      UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (workspace, project, experiment)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- What runs printed, in the order (writer, seq).
CREATE TABLE IF NOT EXISTS output
(
    run     LowCardinality(String),
    writer  UInt64,
    seq     UInt64,
    at      DateTime64(6, 'UTC'),
    stream  LowCardinality(String),
    text    String CODEC(ZSTD(3)),
    part    UInt16,
    offset  UInt64
)
ENGINE = MergeTree ORDER BY (run, writer, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- Every control event as it came, once: the history of a run, and what as-of reads fold.
CREATE TABLE IF NOT EXISTS events
(
    key     String,
    part    UInt16,
    offset  UInt64,
    writer  String,
    seq     UInt64,
    at      DateTime64(6, 'UTC'),
    type    LowCardinality(String),
    body    String CODEC(ZSTD(3))
)
ENGINE = MergeTree ORDER BY (key, part, offset, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- What could not be read, with where and why. `body` is the record's bytes (or the event's JSON), nothing lost.
CREATE TABLE IF NOT EXISTS quarantine
(
    part    UInt16,
    offset  UInt64,
    item    UInt32,
    key     String,
    cause   LowCardinality(String),
    detail  String,
    body    String CODEC(ZSTD(3)),
    at      DateTime64(6, 'UTC')
)
ENGINE = MergeTree ORDER BY (part, offset, item)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- One row a writer: which of its sequence numbers are folded, as [begin, end) pairs one behind the other, and whether
-- no sign of life is expected of it (it has ended, or it only wrote commands and never started the run); and one
-- row a partition (key and writer empty), written last of all tables in every cycle: everything up to its offset is
-- in every table. Nothing ever deletes these rows.
CREATE TABLE IF NOT EXISTS watermark_states
(
    key             String,
    writer          String,
    seen            Array(UInt64),
    last_seen_at    DateTime64(6, 'UTC'),
    ended           Bool,
    part            UInt16,
    offset          UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (key, writer, part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;
