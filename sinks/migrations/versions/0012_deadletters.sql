-- What was refused, and why, with the bytes as they came: they hold personal data. `topic` is '' where a timer was given
-- up, and the partition and offset -1 then.
CREATE TABLE IF NOT EXISTS siyu.deadletters_raw
(
    stage String,
    reason String,
    detail String,
    topic String,
    raw_partition Int32,
    raw_offset Int64,
    received_ms Int64,
    schema_id Nullable(Int32),
    raw_key String,
    raw String,
    received DateTime('UTC') DEFAULT toDateTime(intDiv(received_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received)
ORDER BY (reason, topic, received_ms);

-- The same for people: without the bytes.
CREATE VIEW IF NOT EXISTS siyu.deadletters AS
SELECT
    received, received_ms, topic, raw_partition, raw_offset, stage, reason, detail, schema_id, length(raw) AS bytes,
    shard, journal_offset, block
FROM siyu.deadletters_raw;
