-- What the breaker holds: every change, the last one by `seq` counts. A pair, or (node_b is '') a value that is
-- suspected. `word` is 'held', or what ended it: 'released', 'rejected', or 'ended' where it ended by itself.
CREATE TABLE IF NOT EXISTS siyu.identity_holds
(
    tenant String,
    node_a String,
    kind_a String,
    scope_a String,
    value_a String,
    node_b String,
    kind_b String,
    scope_b String,
    value_b String,
    word String,
    reason String,
    event_id String,
    event_time_ms Int64,
    seq Int64,
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
ORDER BY (tenant, node_a, node_b, seq);

-- What waits for an operator's word now.
CREATE VIEW IF NOT EXISTS siyu.identity_held AS
SELECT
    tenant, node_a, last_kind_a AS kind_a, last_scope_a AS scope_a, last_value_a AS value_a,
    node_b, last_kind_b AS kind_b, last_scope_b AS scope_b, last_value_b AS value_b,
    last_reason AS reason, last_event_id AS event_id, last_event_time_ms AS event_time_ms, last_seq AS seq
FROM
(
    SELECT
        tenant, node_a, node_b, argMax(word, seq) AS last_word,
        argMax(kind_a, seq) AS last_kind_a, argMax(scope_a, seq) AS last_scope_a, argMax(value_a, seq) AS last_value_a,
        argMax(kind_b, seq) AS last_kind_b, argMax(scope_b, seq) AS last_scope_b, argMax(value_b, seq) AS last_value_b,
        argMax(reason, seq) AS last_reason, argMax(event_id, seq) AS last_event_id,
        argMax(event_time_ms, seq) AS last_event_time_ms, max(seq) AS last_seq
    FROM siyu.identity_holds
    GROUP BY tenant, node_a, node_b
)
WHERE last_word = 'held';
