-- The roll-up of a curve with sums that do not depend on the order in which parts are merged: each value is split into
-- multiples of 2^30, 2^-3, 2^-36 and 2^-69 and a rest, and sums of such multiples are exact. `v + c - c` rounds v to a
-- multiple of 2^-52 c / 1.5. Reads must use these very expressions. Parts without it are scanned until maintenance has
-- made it; the earlier roll-up goes, because two cost every merge a fifth more.
ALTER TABLE points ADD PROJECTION IF NOT EXISTS buckets
(
    SELECT
        run, metric, intDiv(step, 256),
        count(), countIf(isNaN(value)),
        minIf(value, NOT isNaN(value)), maxIf(value, NOT isNaN(value)),
        sumIf(value + 7.253554917687775e24 - 7.253554917687775e24 AS part0, NOT isNaN(value)),
        sumIf((value - part0 AS rest0) + 844424930131968. - 844424930131968. AS part1, NOT isNaN(value)),
        sumIf((rest0 - part1 AS rest1) + 98304. - 98304. AS part2, NOT isNaN(value)),
        sumIf((rest1 - part2 AS rest2) + 1.1444091796875e-05 - 1.1444091796875e-05 AS part3, NOT isNaN(value)),
        sumIf(rest2 - part3, NOT isNaN(value)),
        min(step), max(step)
    GROUP BY run, metric, intDiv(step, 256)
);
ALTER TABLE points DROP PROJECTION IF EXISTS curve;
