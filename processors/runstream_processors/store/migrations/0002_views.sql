-- The newest state of each key: what everyone reads.
--
-- The grouping is by the table's sort key, so a filter on it reaches the primary key, and each column is an aggregate
-- of its own, so columns that nobody selects are not read. argMax passes over NULL, which may be the newest state:
-- a tuple of one hides it.

CREATE VIEW IF NOT EXISTS summaries AS
SELECT
    s.run AS run,
    s.metric AS metric,
    argMax(s.count, s.offset) AS count,
    argMax(s.nan_count, s.offset) AS nan_count,
    argMax(s.minimum, s.offset) AS minimum,
    argMax(s.minimum_step, s.offset) AS minimum_step,
    argMax(s.minimum_at, s.offset) AS minimum_at,
    argMax(s.maximum, s.offset) AS maximum,
    argMax(s.maximum_step, s.offset) AS maximum_step,
    argMax(s.maximum_at, s.offset) AS maximum_at,
    argMax(s.first, s.offset) AS first,
    argMax(s.first_step, s.offset) AS first_step,
    argMax(s.first_at, s.offset) AS first_at,
    argMax(s.last, s.offset) AS last,
    argMax(s.last_step, s.offset) AS last_step,
    argMax(s.last_at, s.offset) AS last_at,
    argMax(s.total, s.offset) AS total,
    argMax(s.total_exponent, s.offset) AS total_exponent,
    argMax(s.total_digits, s.offset) AS total_digits,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM summary_states AS s
GROUP BY s.run, s.metric;

CREATE VIEW IF NOT EXISTS runs AS
SELECT
    s.run AS run,
    argMax(s.workspace, s.offset) AS workspace,
    argMax(s.project, s.offset) AS project,
    argMax(s.experiment, s.offset) AS experiment,
    argMax(s.name, s.offset) AS name,
    argMax(s.status, s.offset) AS status,
    argMax(s.message, s.offset) AS message,
    argMax(s.user, s.offset) AS user,
    argMax(s.host, s.offset) AS host,
    argMax(s.notes, s.offset) AS notes,
    argMax(s.tags, s.offset) AS tags,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.started_at, s.offset) AS started_at,
    argMax(tuple(s.ended_at), s.offset).1 AS ended_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.archived, s.offset) AS archived,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.points_dropped, s.offset) AS points_dropped,
    argMax(s.state, s.offset) AS state,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM run_states AS s
GROUP BY s.run;

CREATE VIEW IF NOT EXISTS attributes AS
SELECT
    s.run AS run,
    s.kind AS kind,
    s.name AS name,
    argMax(s.value, s.offset) AS value,
    argMax(s.text, s.offset) AS text,
    argMax(tuple(s.number), s.offset).1 AS number,
    argMax(s.at, s.offset) AS at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM attribute_states AS s
GROUP BY s.run, s.kind, s.name;

CREATE VIEW IF NOT EXISTS assets AS
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
    max(s.offset) AS offset
FROM asset_states AS s
GROUP BY s.run, s.asset;

CREATE VIEW IF NOT EXISTS projects AS
SELECT
    s.workspace AS workspace,
    s.project AS project,
    argMax(s.description, s.offset) AS description,
    argMax(s.notes, s.offset) AS notes,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM project_states AS s
GROUP BY s.workspace, s.project;

CREATE VIEW IF NOT EXISTS experiments AS
SELECT
    s.workspace AS workspace,
    s.project AS project,
    s.experiment AS experiment,
    argMax(s.description, s.offset) AS description,
    argMax(s.created_at, s.offset) AS created_at,
    argMax(s.updated_at, s.offset) AS updated_at,
    argMax(s.deleted, s.offset) AS deleted,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset
FROM experiment_states AS s
GROUP BY s.workspace, s.project, s.experiment;

CREATE VIEW IF NOT EXISTS watermarks AS
SELECT
    s.key AS key,
    s.writer AS writer,
    argMax(s.seen, s.offset) AS seen,
    argMax(s.last_seen_at, s.offset) AS last_seen_at,
    argMax(s.ended, s.offset) AS ended,
    s.part AS part,
    max(s.offset) AS offset
FROM watermark_states AS s
WHERE NOT (s.key = '' AND s.writer = '')
GROUP BY s.key, s.writer, s.part;
