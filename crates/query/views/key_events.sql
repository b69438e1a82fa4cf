-- One row for each key that an event names: a ReEncrypt stands here twice, once for the key it decrypted with and once
-- for the key it encrypted with. Records of VPC endpoints are left out: they repeat a call that is logged by itself.
-- Two branches instead of `key IN (key_arn, key_arn2)`, because each of them can then skip files, row groups and pages
-- by the bounds of its one column.
--
-- A call to a key of another account is on record in both accounts, under one shared event id. Who has both logs in one
-- lake finds it here once, by the caller's record, which names the caller, if that is there. Only events with a shared id
-- are sorted for that, and by the key first, so that a question about one key sorts its own.
WITH named AS (
    SELECT key_arn AS key, * FROM events
    WHERE key_arn IS NOT NULL AND event_category IS DISTINCT FROM 'NetworkActivity'
    UNION ALL
    SELECT key_arn2 AS key, * FROM events
    WHERE key_arn2 IS NOT NULL AND event_category IS DISTINCT FROM 'NetworkActivity'
)
SELECT key, {columns}, actor, via FROM named WHERE shared_event_id IS NULL
UNION ALL
SELECT key, {columns}, actor, via FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY key, shared_event_id ORDER BY identity_type = 'AWSAccount', event_id
        ) AS copy
    FROM named WHERE shared_event_id IS NOT NULL
)
WHERE copy = 1
