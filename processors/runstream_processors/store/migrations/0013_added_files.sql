-- Files that were added to open versions of artifacts, and which versions are open. No event before made an open version.

-- One row an event, added once. The lists have a member for each file, which has either a sha256 or a link. Of several
-- files of a version with one name the newest counts.
CREATE TABLE IF NOT EXISTS artifact_files
(
    artifact     String,
    ordinal      UInt64,
    part         UInt16,
    offset       UInt64,
    seq          UInt64,
    at           DateTime64(6, 'UTC'),
    file_names   Array(String) CODEC(ZSTD(1)),
    file_sha256s Array(String),
    file_sizes   Array(UInt64),
    file_types   Array(String) CODEC(ZSTD(1)),
    file_links   Array(String) CODEC(ZSTD(1))
)
ENGINE = MergeTree ORDER BY (artifact, ordinal, part, offset, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    max_suspicious_broken_parts = 0, auto_statistics_types = '',
    index_granularity = 1024;
ALTER TABLE artifact_files MODIFY SETTING non_replicated_deduplication_window = 10000;

ALTER TABLE artifact_version_states ADD COLUMN IF NOT EXISTS open Bool;

CREATE OR REPLACE VIEW artifact_versions AS
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
    max(s.offset) AS offset,
    argMax(s.remarks, s.offset) AS remarks,
    argMax(s.open, s.offset) AS open
FROM artifact_version_states AS s
GROUP BY s.artifact, s.ordinal;
