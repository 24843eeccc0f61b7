-- The epoch that a point was logged in, where its client says so (Comet's does). NULL in nearly all points: an insert
-- without epochs does not name the column.
ALTER TABLE points ADD COLUMN IF NOT EXISTS epoch Nullable(Int64) CODEC(Delta, ZSTD(1))
    COMMENT 'NULL: logged without an epoch';

-- The part of the run that logged a file, such as train or validate; empty if its client does not tell them apart.
ALTER TABLE asset_states ADD COLUMN IF NOT EXISTS context LowCardinality(String);

CREATE OR REPLACE VIEW assets AS
SELECT
    s.run AS run,
    s.asset AS asset,
    argMax(s.name, s.offset) AS name,
    argMax(s.kind, s.offset) AS kind,
    argMax(s.sha256, s.offset) AS sha256,
    argMax(s.size_bytes, s.offset) AS size_bytes,
    argMax(s.content_type, s.offset) AS content_type,
    argMax(tuple(s.step), s.offset).1 AS step,
    argMax(s.metadata, s.offset) AS metadata,
    argMax(s.at, s.offset) AS at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset,
    argMax(s.context, s.offset) AS context
FROM asset_states AS s
GROUP BY s.run, s.asset;
