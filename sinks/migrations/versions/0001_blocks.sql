-- The block ledger: one row per thing that happened to a block, in the order of `n`, which no shard uses twice.
-- `position` is the next journal offset to write once the row stands (sinks/ledger.py).
CREATE TABLE IF NOT EXISTS siyu.sink_blocks
(
    shard UInt16,
    n UInt64,
    block UInt64,
    state String,
    first_offset UInt64,
    last_offset UInt64,
    position UInt64,
    rows String,
    owner String,
    noted_ms Int64,
    noted DateTime('UTC') DEFAULT toDateTime(intDiv(noted_ms, 1000))
)
ENGINE = MergeTree
ORDER BY (shard, n);
