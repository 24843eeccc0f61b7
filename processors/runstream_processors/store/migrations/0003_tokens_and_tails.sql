-- Tokens of inserts: each table remembers those of its last 10,000 inserts that had one, and drops a block whose token
-- it knows. An insert without a token is neither looked up nor remembered. (store/tables.py: TOKENS_REMEMBERED.)
ALTER TABLE points MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE summary_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE run_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE attribute_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE asset_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE project_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE experiment_states MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE output MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE quarantine MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE watermark_states MODIFY SETTING non_replicated_deduplication_window = 10000;

-- Where each table ends at a commit. Only commit rows (key and writer empty) have it, so the view does not.
ALTER TABLE watermark_states ADD COLUMN IF NOT EXISTS tails Map(LowCardinality(String), UInt64)
    COMMENT 'commit rows: the last offset with rows in each table';
