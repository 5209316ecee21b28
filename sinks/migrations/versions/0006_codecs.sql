-- needs: 20.1
-- Smaller and faster where the server can: codecs for times and long texts, and indexes that find a block or a node
-- without reading a month. Facts are never expired here: how long a brand keeps them is its own decision.
ALTER TABLE siyu.events
    MODIFY COLUMN event_time_ms Int64 CODEC(DoubleDelta, ZSTD(1)),
    MODIFY COLUMN received_ms Int64 CODEC(DoubleDelta, ZSTD(1)),
    MODIFY COLUMN journal_offset UInt64 CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN event_id String CODEC(ZSTD(1)),
    MODIFY COLUMN properties String CODEC(ZSTD(3));

ALTER TABLE siyu.triggers MODIFY COLUMN content String CODEC(ZSTD(3));

ALTER TABLE siyu.events ADD INDEX IF NOT EXISTS by_block block TYPE minmax GRANULARITY 1;

ALTER TABLE siyu.events ADD INDEX IF NOT EXISTS by_node node TYPE bloom_filter(0.01) GRANULARITY 4;
