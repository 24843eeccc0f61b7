-- What a file is to its run, where it is if it is elsewhere, and the model that it is a file of. Rows that were there
-- before have these facts in the file's id and metadata (runstream_model.upcasting), where Comet's interface put them.
ALTER TABLE asset_states ADD COLUMN IF NOT EXISTS role LowCardinality(String) DEFAULT multiIf(
    asset = 'comet-code', 'code', asset = 'comet-graph', 'graph', asset = 'comet-git-patch', 'patch',
    startsWith(asset, 'comet-html-'), 'page', '');
ALTER TABLE asset_states ADD COLUMN IF NOT EXISTS location String DEFAULT JSONExtractString(metadata, '@link');
ALTER TABLE asset_states ADD COLUMN IF NOT EXISTS model String DEFAULT JSONExtractString(metadata, '@model');

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
    argMax(s.context, s.offset) AS context,
    argMax(s.role, s.offset) AS role,
    argMax(s.location, s.offset) AS location,
    argMax(s.model, s.offset) AS model
FROM asset_states AS s
GROUP BY s.run, s.asset;
