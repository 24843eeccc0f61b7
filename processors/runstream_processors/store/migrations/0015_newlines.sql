-- How many lines end in a piece of output: by it a line is found by its number without its text being read. No worker
-- sends it; of rows that were there before, it is worked out when it is read, and kept by the next merge.
ALTER TABLE output ADD COLUMN IF NOT EXISTS newlines UInt32 DEFAULT countSubstrings(text, '\n')
    COMMENT 'how many lines end in it';
