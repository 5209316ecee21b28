-- needs: 24.5
-- One customer's path by the nodes that are theirs today, which the index of nodes finds among any number of facts:
-- SELECT * FROM siyu.path_of(tenant = 'lumi_tea', one_id = '...') ORDER BY event_time_ms. `customer_path` answers the
-- same, but looks at every fact: a condition on today's person can't be put to a fact before it was looked up.
CREATE VIEW IF NOT EXISTS siyu.path_of AS
SELECT
    tenant, {one_id:String} AS one_id, event_time, event_time_ms, touchpoint, event_type, scene, channel, campaign,
    order_id, amount_fen, item_id, category, event_id, node, events.one_id AS one_id_then
FROM siyu.events
WHERE tenant = {tenant:String} AND node IN
(
    SELECT node
    FROM
    (
        SELECT node, argMax(one_id, seq) AS now
        FROM siyu.identity_map
        WHERE tenant = {tenant:String} AND node IN
        (
            SELECT node FROM siyu.identity_map WHERE tenant = {tenant:String} AND one_id = {one_id:String}
        )
        GROUP BY node
    )
    WHERE now = {one_id:String}
);
