-- One row per order, whoever paid: what it came to and when (0 where that has not happened), and whose it is today.
CREATE VIEW IF NOT EXISTS siyu.orders AS
SELECT
    tenant, order_id, argMin(person, at_ms) AS one_id, argMin(place, at_ms) AS touchpoint,
    maxIf(at_ms, kind = 'order_submitted') AS submitted_ms, maxIf(at_ms, kind = 'order_paid') AS paid_ms,
    maxIf(at_ms, kind = 'order_cancelled') AS cancelled_ms, maxIf(at_ms, kind = 'order_refunded') AS refunded_ms,
    maxIf(fen, kind IN ('order_submitted', 'order_paid')) AS amount_fen,
    sumIf(fen, kind = 'order_refunded') AS refunded_fen
FROM
(
    SELECT
        tenant, order_id, one_id AS person, touchpoint AS place, event_type AS kind, event_time_ms AS at_ms,
        ifNull(amount_fen, 0) AS fen
    FROM siyu.events_now
    WHERE order_id != ''
)
GROUP BY tenant, order_id;
