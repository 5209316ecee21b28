-- Nodes of persons who were erased, as salted hashes: no table may hold one of them any more, also not after a rebuild.
CREATE TABLE IF NOT EXISTS siyu.identity_erased
(
    tenant String,
    node String,
    command_id String,
    erased_ms Int64,
    erased DateTime('UTC') DEFAULT toDateTime(intDiv(erased_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
ORDER BY (tenant, node);

-- Rows that erasures took from a block after it was done, so that what the ledger noted can still be checked. `by` is
-- the block that brought the erasure, `step` the table and column by which rows were found.
CREATE TABLE IF NOT EXISTS siyu.sink_erased
(
    shard UInt16,
    block UInt64,
    table_name String,
    rows UInt64,
    by UInt64,
    step String
)
ENGINE = MergeTree
ORDER BY (shard, by, step, block);
