-- Events by minute and touchpoint. The writer adds each block up itself and inserts the sums as one more table of the
-- block: a view behind `events` could be a statement ahead or behind it after a crash, this is settled with the rest.
CREATE TABLE IF NOT EXISTS siyu.touchpoint_minute_parts
(
    tenant String,
    minute_ms Int64,
    touchpoint String,
    event_type String,
    events UInt64,
    amount_fen Int64,
    minute DateTime('UTC') DEFAULT toDateTime(intDiv(minute_ms, 1000)),
    shard UInt16,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant, minute, touchpoint, event_type);

CREATE VIEW IF NOT EXISTS siyu.touchpoint_minute AS
SELECT tenant, minute, touchpoint, event_type, sum(part_events) AS events, sum(part_amount_fen) AS amount_fen
FROM
(
    SELECT tenant, minute, touchpoint, event_type, events AS part_events, amount_fen AS part_amount_fen
    FROM siyu.touchpoint_minute_parts
)
GROUP BY tenant, minute, touchpoint, event_type;
