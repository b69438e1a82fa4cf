-- One row for each key that an event names: a ReEncrypt stands here twice, once for the key it decrypted with and once
-- for the key it encrypted with. Records of VPC endpoints are left out: they repeat a call that is logged by itself.
-- Two branches instead of `key IN (key_arn, key_arn2)`, because each of them can then skip files, row groups and pages
-- by the bounds of its one column.
SELECT key_arn AS key, * FROM events
WHERE key_arn IS NOT NULL AND event_category IS DISTINCT FROM 'NetworkActivity'
UNION ALL
SELECT key_arn2 AS key, * FROM events
WHERE key_arn2 IS NOT NULL AND event_category IS DISTINCT FROM 'NetworkActivity'
