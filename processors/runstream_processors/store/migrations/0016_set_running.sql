-- Whether somebody set a run running: reads take the silence of its writers for no end then. False in rows that were there
-- before, and the tables are made anew.
ALTER TABLE run_states ADD COLUMN IF NOT EXISTS set_running Bool;

CREATE OR REPLACE VIEW runs AS
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
    max(s.offset) AS offset,
    argMax(s.group, s.offset) AS group,
    argMax(s.job_type, s.offset) AS job_type,
    argMax(s.links, s.offset) AS links,
    argMax(s.set_running, s.offset) AS set_running
FROM run_states AS s
GROUP BY s.run;
