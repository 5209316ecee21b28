-- Each step of a journey that somebody came to, and by what; step '' is out of it. `one_id` is the person as it was then.
CREATE TABLE IF NOT EXISTS siyu.journey_moves
(
    tenant String,
    rule String,
    rule_version Int32,
    run String,
    one_id String,
    node String,
    entered_ms Int64,
    step String,
    why String,
    since_ms Int64,
    moved_time_ms Int64,
    seq Int64,
    moved_time DateTime('UTC') DEFAULT toDateTime(intDiv(moved_time_ms, 1000)),
    shard UInt16,
    journal_offset UInt64,
    block UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(moved_time)
ORDER BY (tenant, rule, run, seq);

-- Where each run stands now, and whose it is today; of those who have left, why.
CREATE VIEW IF NOT EXISTS siyu.journey_now AS
SELECT
    tenant, rule, rule_version, run, step, why, entered_ms, since_ms, moved_time_ms, node,
    if(named = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        tenant, rule, run, last_version AS rule_version, last_step AS step, last_why AS why, entered AS entered_ms,
        last_since AS since_ms, last_moved AS moved_time_ms, last_node AS node, last_one_id AS one_id_then
    FROM
    (
        SELECT
            tenant, rule, run, argMax(rule_version, seq) AS last_version, argMax(step, seq) AS last_step,
            argMax(why, seq) AS last_why, min(entered_ms) AS entered, argMax(since_ms, seq) AS last_since,
            argMax(moved_time_ms, seq) AS last_moved, argMax(node, seq) AS last_node, argMax(one_id, seq) AS last_one_id
        FROM siyu.journey_moves
        GROUP BY tenant, rule, run
    )
) AS runs
ANY LEFT JOIN
(
    SELECT tenant, node, one_id AS now_id, 1 AS named
    FROM siyu.identity_now
) AS known
USING (tenant, node);

-- Who is stuck where: how many stand at each step, and since when the first of them.
CREATE VIEW IF NOT EXISTS siyu.journey_steps AS
SELECT tenant, rule, rule_version, step, count() AS persons, min(since_ms) AS first_since_ms
FROM siyu.journey_now
WHERE step != ''
GROUP BY tenant, rule, rule_version, step;
