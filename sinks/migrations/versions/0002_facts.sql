-- Facts, one table per entry of schemas.columns.TABLES. A missing text is '' and a missing amount NULL; times are
-- milliseconds, with a DateTime beside the one that a table is cut by. Which block a row came in with is in the row,
-- so that a block in doubt can be counted and removed.

-- Accepted behaviour, one row per event. `one_id` is the person as it was then; `events_now` answers by today.
CREATE TABLE IF NOT EXISTS siyu.events
(
    event_id String,
    tenant String,
    event_type String,
    event_time_ms Int64,
    touchpoint String,
    scene String,
    channel String,
    campaign String,
    order_id String,
    amount_fen Nullable(Int64),
    item_id String,
    category String,
    referrer_kind String,
    referrer_scope String,
    referrer_value String,
    properties String,
    set_aside String,
    received_ms Int64,
    source String,
    node String,
    one_id String,
    event_time DateTime('UTC') DEFAULT toDateTime(intDiv(event_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, event_type, event_time_ms);

-- Why two nodes are one person, link by link.
CREATE TABLE IF NOT EXISTS siyu.identity_links
(
    tenant String,
    node_a String,
    node_b String,
    event_id String,
    event_time_ms Int64,
    seq Int64,
    event_time DateTime('UTC') DEFAULT toDateTime(intDiv(event_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, event_time_ms);

-- Who a node belongs to: every change, the last one by `seq` counts (`identity_now`).
CREATE TABLE IF NOT EXISTS siyu.identity_map
(
    tenant String,
    node String,
    kind String,
    scope String,
    value String,
    one_id String,
    seq Int64,
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
ORDER BY (tenant, node, seq);

-- What was sent.
CREATE TABLE IF NOT EXISTS siyu.triggers
(
    trigger_id String,
    tenant String,
    topic String,
    rule String,
    rule_version Int32,
    step String,
    one_id String,
    node String,
    business_key String,
    due_time_ms Int64,
    fired_time_ms Int64,
    expires_time_ms Int64,
    channel String,
    recipient_kind String,
    recipient_scope String,
    recipient_value String,
    arm String,
    cause String,
    content String,
    fired_time DateTime('UTC') DEFAULT toDateTime(intDiv(fired_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fired_time)
ORDER BY (tenant, rule, fired_time_ms);

-- What was sent, deferred and suppressed, and why.
CREATE TABLE IF NOT EXISTS siyu.decisions
(
    trigger_id String,
    tenant String,
    rule String,
    rule_version Int32,
    one_id String,
    node String,
    business_key String,
    verdict String,
    reason String,
    due_time_ms Int64,
    decided_time_ms Int64,
    cause String,
    decided_time DateTime('UTC') DEFAULT toDateTime(intDiv(decided_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(decided_time)
ORDER BY (tenant, rule, decided_time_ms);

-- What became of what was sent.
CREATE TABLE IF NOT EXISTS siyu.deliveries
(
    tenant String,
    trigger_id String,
    status String,
    event_time_ms Int64,
    detail String,
    event_time DateTime('UTC') DEFAULT toDateTime(intDiv(event_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, trigger_id, event_time_ms);
