-- What else became known of who is who, beside links: merges, refusals, cuts, what is held. `node_b` is '' where a
-- change is of one node alone; `into_id` is the person that a merge or a cut led to.
CREATE TABLE IF NOT EXISTS siyu.identity_changes
(
    tenant String,
    kind String,
    one_id String,
    into_id String,
    node_a String,
    node_b String,
    event_id String,
    event_time_ms Int64,
    reason String,
    seq Int64,
    event_time DateTime('UTC') DEFAULT toDateTime(intDiv(event_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, seq);

-- Nodes that went from one person to another, each time that they did; `was` is the person before. Few of all nodes:
-- the facts of those that are not here belong to whom they were written for.
CREATE TABLE IF NOT EXISTS siyu.identity_moves
(
    tenant String,
    node String,
    was String,
    one_id String,
    seq Int64,
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
ORDER BY (tenant, node, seq);
