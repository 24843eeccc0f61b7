-- Entities: named JSON objects of a project, and what came of each event about them (runstream_model.entities).

-- One row an entity: what the fold goes on from after a start. `key` is that of its records: WORKSPACE/PROJECT.
CREATE TABLE IF NOT EXISTS entity_states
(
    key        String,
    kind       LowCardinality(String),
    name       String,
    workspace  LowCardinality(String),
    project    String,
    entity     String,
    revision   UInt64,
    properties String CODEC(ZSTD(3)),
    created_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    deleted    Bool,
    part       UInt16,
    offset     UInt64
)
ENGINE = ReplacingMergeTree(offset) ORDER BY (key, kind, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;

-- One row an event of an entity: why it could not be done, empty if it was, and the revision that it made.
CREATE TABLE IF NOT EXISTS entity_outcomes
(
    entity   String,
    writer   String,
    seq      UInt64,
    refused  LowCardinality(String),
    revision UInt64,
    part     UInt16,
    offset   UInt64
)
ENGINE = MergeTree ORDER BY (part, offset, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '';

-- Tokens of inserts, as in 0003.
ALTER TABLE entity_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE entity_outcomes MODIFY SETTING non_replicated_deduplication_window = 10000;

-- The newest state of each key, as in 0002.
CREATE VIEW IF NOT EXISTS entities AS
SELECT
    s.key AS key,
    s.kind AS kind,
    s.name AS name,
    argMax(s.workspace, s.offset) AS workspace,
    argMax(s.project, s.offset) AS project,
    argMax(s.entity, s.offset) AS entity,
    argMax(s.revision, s.offset) AS revision,
    argMax(s.properties, s.offset) AS properties,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM entity_states AS s
GROUP BY s.key, s.kind, s.name;
