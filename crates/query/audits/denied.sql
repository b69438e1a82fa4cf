-- audit: denied
-- title: Who was refused which operation on which key, and which policy refused it
-- severity: medium
-- filters: key, principal, since, until
--
-- Calls to KMS that failed with AccessDenied or AccessDeniedException. AWS names the key of a refused call in the error
-- text only, from where `key_arn` takes it; a call that is about no key (CreateKey, ListKeys) has none. `reason` is the
-- clause of the error text that names the kind of policy: a missing permission or an explicit deny.
SELECT
    key_arn AS key,
    actor,
    event_name AS operation,
    CASE
        WHEN strpos(error_message, ' because ') > 0
            THEN split_part(error_message, ' because ', 2)
        WHEN strpos(error_message, ' with an explicit deny') > 0
            THEN concat('an explicit deny', split_part(error_message, ' with an explicit deny', 2))
        ELSE error_message
    END AS reason,
    count(*) AS attempts,
    min(event_time) AS first_attempt,
    max(event_time) AS last_attempt,
    count(DISTINCT source_ip_address) AS ip_count,
    array_slice(array_sort(array_agg(DISTINCT source_ip_address)), 1, 10) AS source_ips
FROM events
WHERE event_source = 'kms.amazonaws.com'
  AND error_code LIKE 'AccessDenied%'
  AND ($key IS NULL OR array_has($key, key_arn) OR array_has($key, key_arn2))
  AND ($principal IS NULL
       OR $principal IN (actor, principal_arn, principal_id, user_name, issuer_user_name, access_key_id))
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key_arn, actor, event_name, reason
ORDER BY attempts DESC, key, actor, operation, reason
