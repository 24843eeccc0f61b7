-- Artifacts, their versions and files, and what came of each event about them (runstream_processors.folds.artifacts).

-- One row an artifact: a named, typed thing (model, panel, data set, ...) with numbered versions. `project` is empty
-- for one of a whole workspace. `key` is that of its records: WORKSPACE/PROJECT, or WORKSPACE/NAME. `state` is the
-- whole folded state as JSON, with what can change of the versions: what the fold goes on from after a start. So its
-- row is written behind those of the other three tables, which are made from it (docs/design/events.md).
CREATE TABLE IF NOT EXISTS artifact_states
(
    key            String,
    artifact       String,
    workspace      LowCardinality(String),
    project        String,
    artifact_type  LowCardinality(String),
    name           String,
    description    String,
    notes          String,
    tags           Array(String),
    public         Bool,
    created_at     DateTime64(6, 'UTC'),
    updated_at     DateTime64(6, 'UTC'),
    deleted        Bool,
    versions       UInt64,
    latest_ordinal UInt64,
    latest_version String,
    state          String CODEC(ZSTD(3)),
    part           UInt16,
    offset         UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (key, artifact)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- One row a version: what can be said anew about it, and what lists show of it.
CREATE TABLE IF NOT EXISTS artifact_version_states
(
    artifact   String,
    ordinal    UInt64,
    version    String,
    comment    String,
    status     LowCardinality(String),
    tags       Array(String),
    aliases    Array(String),
    stages     Array(String),
    run        String,
    files      UInt64,
    size_bytes UInt64,
    created_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    deleted    Bool,
    part       UInt16,
    offset     UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (artifact, ordinal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- One row a version, added once: what never changes. The lists have a member for each file, which has either a sha256
-- or a link.
CREATE TABLE IF NOT EXISTS artifact_contents
(
    artifact     String,
    ordinal      UInt64,
    metadata     String CODEC(ZSTD(3)),
    file_names   Array(String) CODEC(ZSTD(1)),
    file_sha256s Array(String),
    file_sizes   Array(UInt64),
    file_types   Array(String) CODEC(ZSTD(1)),
    file_links   Array(String) CODEC(ZSTD(1)),
    at           DateTime64(6, 'UTC'),
    part         UInt16,
    offset       UInt64
)
ENGINE = MergeTree ORDER BY (artifact, ordinal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- One row an event of an artifact: what came of it. `refused` says why it could not be done, empty if it was done or
-- there was nothing to do. `ordinal` and `version` are those of the version that it is about (of "version taken": of
-- the one that has it).
CREATE TABLE IF NOT EXISTS artifact_outcomes
(
    artifact String,
    writer   String,
    seq      UInt64,
    changed  Bool,
    refused  LowCardinality(String),
    ordinal  UInt64,
    version  String,
    part     UInt16,
    offset   UInt64
)
ENGINE = MergeTree ORDER BY (part, offset, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- Tokens of inserts, as in 0003.
ALTER TABLE artifact_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE artifact_version_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE artifact_contents MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE artifact_outcomes MODIFY SETTING non_replicated_deduplication_window = 10000;

-- The newest state of each key, as in 0002.
CREATE VIEW IF NOT EXISTS artifacts AS
SELECT
    s.key AS key,
    s.artifact AS artifact,
    argMax(s.workspace, s.offset) AS workspace,
    argMax(s.project, s.offset) AS project,
    argMax(s.artifact_type, s.offset) AS artifact_type,
    argMax(s.name, s.offset) AS name,
    argMax(s.description, s.offset) AS description,
    argMax(s.notes, s.offset) AS notes,
    argMax(s.tags, s.offset) AS tags,
    argMax(s.public, s.offset) AS public,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.versions, s.offset) AS versions,
    argMax(s.latest_ordinal, s.offset) AS latest_ordinal,
    argMax(s.latest_version, s.offset) AS latest_version,
    argMax(s.state, s.offset) AS state,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM artifact_states AS s
GROUP BY s.key, s.artifact;

CREATE VIEW IF NOT EXISTS artifact_versions AS
SELECT
    s.artifact AS artifact,
    s.ordinal AS ordinal,
    argMax(s.version, s.offset) AS version,
    argMax(s.comment, s.offset) AS comment,
    argMax(s.status, s.offset) AS status,
    argMax(s.tags, s.offset) AS tags,
    argMax(s.aliases, s.offset) AS aliases,
    argMax(s.stages, s.offset) AS stages,
    argMax(s.run, s.offset) AS run,
    argMax(s.files, s.offset) AS files,
    argMax(s.size_bytes, s.offset) AS size_bytes,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM artifact_version_states AS s
GROUP BY s.artifact, s.ordinal;
