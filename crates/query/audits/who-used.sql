-- audit: who-used
-- title: Who used which key, for what, through which service, how often, when, and from where
-- severity: info
-- filters: key, principal, since, until
--
-- Every call that names the key counts, not only cryptography: reading a key's policy is a use worth knowing.
-- `failures` are calls that were refused or failed. A ReEncrypt counts for both of its keys.
-- `source_ips` holds ten addresses at most; `ip_count` is the number of all.
SELECT
    key,
    actor,
    event_name AS operation,
    via,
    count(*) FILTER (WHERE error_code IS NULL) AS uses,
    count(*) FILTER (WHERE error_code IS NOT NULL) AS failures,
    min(event_time) AS first_use,
    max(event_time) AS last_use,
    count(DISTINCT source_ip_address) AS ip_count,
    array_slice(array_sort(array_agg(DISTINCT source_ip_address)), 1, 10) AS source_ips
FROM key_events
WHERE ($key IS NULL OR array_has($key, key))
  AND ($principal IS NULL
       OR $principal IN (actor, principal_arn, principal_id, user_name, issuer_user_name, access_key_id))
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key, actor, event_name, via
ORDER BY key, uses DESC, failures DESC, actor, operation, via
