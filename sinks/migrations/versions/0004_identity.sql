-- Who is who today, and what people did by that. An unlink or a merge restates all of it without touching a fact.
CREATE VIEW IF NOT EXISTS siyu.identity_now AS
SELECT
    tenant, node, last_kind AS kind, last_scope AS scope, last_value AS value, last_one_id AS one_id, last_seq AS seq
FROM
(
    SELECT
        tenant, node, argMax(kind, seq) AS last_kind, argMax(scope, seq) AS last_scope,
        argMax(value, seq) AS last_value, argMax(one_id, seq) AS last_one_id, max(seq) AS last_seq
    FROM siyu.identity_map
    GROUP BY tenant, node
);

CREATE VIEW IF NOT EXISTS siyu.persons AS
SELECT tenant, one_id, count() AS ids, arraySort(groupUniqArray(kind)) AS kinds
FROM siyu.identity_now
WHERE one_id != ''
GROUP BY tenant, one_id;

-- `one_id` is today's, `one_id_then` as it was reported. A node that the map has never named keeps its person.
CREATE VIEW IF NOT EXISTS siyu.events_now AS
SELECT
    event_id, tenant, event_type, event_time_ms, touchpoint, scene, channel, campaign, order_id, amount_fen,
    item_id, category, referrer_kind, referrer_scope, referrer_value, properties, set_aside, received_ms,
    source, node, event_time, shard, journal_offset, block,
    one_id_then, if(named = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        event_id, tenant, event_type, event_time_ms, touchpoint, scene, channel, campaign, order_id,
        amount_fen, item_id, category, referrer_kind, referrer_scope, referrer_value, properties, set_aside,
        received_ms, source, node, event_time, shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.events
) AS facts
ANY LEFT JOIN
(
    SELECT tenant, node, one_id AS now_id, 1 AS named
    FROM siyu.identity_now
) AS known
USING (tenant, node);

-- One customer's path across touchpoints: ask for a tenant and a one_id, ORDER BY event_time_ms.
CREATE VIEW IF NOT EXISTS siyu.customer_path AS
SELECT
    tenant, one_id, event_time, event_time_ms, touchpoint, event_type, scene, channel, campaign, order_id,
    amount_fen, item_id, category, event_id, node, one_id_then
FROM siyu.events_now
WHERE one_id != '';
