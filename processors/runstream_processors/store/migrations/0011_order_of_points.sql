-- Which of several values of one step and time comes last: the writer decides, and within a writer its numbers. Rows that
-- were folded before have 0, and the tables are made anew.
ALTER TABLE points ADD COLUMN IF NOT EXISTS seq UInt64 CODEC(Delta, LZ4);

ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS first_writer UInt64;
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS first_seq UInt64;
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS last_writer UInt64;
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS last_seq UInt64;

CREATE OR REPLACE VIEW summaries AS
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
    argMax(tuple(s.std), s.offset).1 AS std,
    argMax(s.total_exponent, s.offset) AS total_exponent,
    argMax(s.total_digits, s.offset) AS total_digits,
    argMax(s.squares_exponent, s.offset) AS squares_exponent,
    argMax(s.squares_digits, s.offset) AS squares_digits,
    argMax(s.part, s.offset) AS part,
    max(s.offset) AS offset,
    argMax(s.first_writer, s.offset) AS first_writer,
    argMax(s.first_seq, s.offset) AS first_seq,
    argMax(s.last_writer, s.offset) AS last_writer,
    argMax(s.last_seq, s.offset) AS last_seq
FROM summary_states AS s
GROUP BY s.run, s.metric;
