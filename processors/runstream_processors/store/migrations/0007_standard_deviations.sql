-- The population standard deviation of a metric's values, and the exact sum of squares that it is made of
-- (runstream_model.moments). Rows that were folded before have none: the view says NULL, and the tables are made anew.
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS std Nullable(Float64)
    COMMENT 'NULL: folded before there was one' AFTER total;
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS squares_exponent Int32 AFTER total_digits;
ALTER TABLE summary_states ADD COLUMN IF NOT EXISTS squares_digits Array(Int64) AFTER squares_exponent;

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
    max(s.offset) AS offset
FROM summary_states AS s
GROUP BY s.run, s.metric;
