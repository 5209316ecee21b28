-- Which step of a journey or which fallback was decided, and which sources had not been read past the end of the wait by
-- then; both are '' in rows from before, the step of a trigger is not.
ALTER TABLE siyu.decisions ADD COLUMN step String AFTER rule_version;

ALTER TABLE siyu.decisions ADD COLUMN late_sources String AFTER cause;

ALTER TABLE siyu.triggers ADD COLUMN late_sources String AFTER cause;

DROP TABLE IF EXISTS siyu.triggers_now;

CREATE VIEW IF NOT EXISTS siyu.triggers_now AS
SELECT
    trigger_id, tenant, topic, rule, rule_version, step, node, business_key, due_time_ms, fired_time_ms,
    expires_time_ms, channel, recipient_kind, recipient_scope, recipient_value, arm, cause, late_sources, content,
    fired_time, shard, journal_offset, block,
    one_id_then, if(moved = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        trigger_id, tenant, topic, rule, rule_version, step, node, business_key, due_time_ms, fired_time_ms,
        expires_time_ms, channel, recipient_kind, recipient_scope, recipient_value, arm, cause, late_sources, content,
        fired_time, shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.triggers
) AS facts
ANY LEFT JOIN siyu.identity_moved AS known
USING (node);

DROP TABLE IF EXISTS siyu.decisions_now;

CREATE VIEW IF NOT EXISTS siyu.decisions_now AS
SELECT
    trigger_id, tenant, rule, rule_version, step, node, business_key, verdict, reason, due_time_ms, decided_time_ms,
    cause, late_sources, decided_time, shard, journal_offset, block,
    one_id_then, if(moved = 1, now_id, one_id_then) AS one_id
FROM
(
    SELECT
        trigger_id, tenant, rule, rule_version, step, node, business_key, verdict, reason, due_time_ms,
        decided_time_ms, cause, late_sources, decided_time, shard, journal_offset, block,
        one_id AS one_id_then
    FROM siyu.decisions
) AS facts
ANY LEFT JOIN siyu.identity_moved AS known
USING (node);
