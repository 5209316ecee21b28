-- The past by today's identity, and as it was reported. Views named `..._now`, and `customer_path` and `orders`, answer
-- by today's: their facts are joined with the few nodes that have changed persons since, not with all nodes. Those
-- named `..._then` answer as it was reported. A node that went to nobody ('') takes its facts with it.
CREATE VIEW IF NOT EXISTS siyu.identity_moved AS
SELECT node, argMax(one_id, seq) AS now_id, 1 AS moved
FROM siyu.identity_moves
GROUP BY node;

DROP TABLE IF EXISTS siyu.events_now;

CREATE VIEW IF NOT EXISTS siyu.events_now AS
SELECT
    event_id, tenant, event_type, event_time_ms, touchpoint, scene, channel, campaign, order_id, amount_fen,
    item_id, category, referrer_kind, referrer_scope, referrer_value, properties, set_aside, received_ms,
    source, node, event_time, shard, journal_offset, block,
    one_id_then, if(moved = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        event_id, tenant, event_type, event_time_ms, touchpoint, scene, channel, campaign, order_id,
        amount_fen, item_id, category, referrer_kind, referrer_scope, referrer_value, properties, set_aside,
        received_ms, source, node, event_time, shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.events
) AS facts
ANY LEFT JOIN siyu.identity_moved AS known
USING (node);

CREATE VIEW IF NOT EXISTS siyu.triggers_now AS
SELECT
    trigger_id, tenant, topic, rule, rule_version, step, node, business_key, due_time_ms, fired_time_ms,
    expires_time_ms, channel, recipient_kind, recipient_scope, recipient_value, arm, cause, content, fired_time,
    shard, journal_offset, block,
    one_id_then, if(moved = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        trigger_id, tenant, topic, rule, rule_version, step, node, business_key, due_time_ms, fired_time_ms,
        expires_time_ms, channel, recipient_kind, recipient_scope, recipient_value, arm, cause, content, fired_time,
        shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.triggers
) AS facts
ANY LEFT JOIN siyu.identity_moved AS known
USING (node);

CREATE VIEW IF NOT EXISTS siyu.decisions_now AS
SELECT
    trigger_id, tenant, rule, rule_version, node, business_key, verdict, reason, due_time_ms, decided_time_ms, cause,
    decided_time, shard, journal_offset, block,
    one_id_then, if(moved = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        trigger_id, tenant, rule, rule_version, node, business_key, verdict, reason, due_time_ms, decided_time_ms,
        cause, decided_time, shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.decisions
) AS facts
ANY LEFT JOIN siyu.identity_moved AS known
USING (node);

CREATE VIEW IF NOT EXISTS siyu.customer_path_then AS
SELECT
    tenant, one_id, event_time, event_time_ms, touchpoint, event_type, scene, channel, campaign, order_id,
    amount_fen, item_id, category, event_id, node
FROM siyu.events
WHERE one_id != '';

CREATE VIEW IF NOT EXISTS siyu.orders_then AS
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
    FROM siyu.events
    WHERE order_id != ''
)
GROUP BY tenant, order_id;
