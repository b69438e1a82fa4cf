-- audit: last-use
-- title: When each key last did cryptography, by whom, and by which event
-- severity: info
-- filters: key, principal, since, until
--
-- The answer of GetKeyLastUsage, from the log: only the twelve cryptographic operations that AWS counts, and only those
-- that succeeded. ReEncrypt counts for both of its keys. A key that events name without such a use stands here with an
-- empty `last_use`. `tracking_start` is the first event in the lake: before it nothing is known, so a key without a use
-- is unused *since then*. Of uses in the same second the one with the greatest event id is shown; of a call from another
-- account, the caller's record, if it is in the lake (GetKeyLastUsage names the owner's, with the same request id).
SELECT
    key,
    max(event_time) FILTER (WHERE counts) AS last_use,
    first_value(event_name ORDER BY event_time DESC, event_id DESC) FILTER (WHERE counts) AS operation,
    first_value(actor ORDER BY event_time DESC, event_id DESC) FILTER (WHERE counts) AS actor,
    first_value(event_id ORDER BY event_time DESC, event_id DESC) FILTER (WHERE counts) AS event_id,
    first_value(request_id ORDER BY event_time DESC, event_id DESC) FILTER (WHERE counts) AS request_id,
    (SELECT min(event_time) FROM records) AS tracking_start
FROM (
    SELECT
        *,
        error_code IS NULL AND event_name IN (
            'Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext',
            'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext', 'Sign', 'Verify', 'GenerateMac', 'VerifyMac',
            'DeriveSharedSecret'
        ) AS counts
    FROM key_events
)
WHERE ($key IS NULL OR array_has($key, key))
  AND ($principal IS NULL
       OR $principal IN (actor, principal_arn, principal_id, user_name, issuer_user_name, access_key_id))
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY key
ORDER BY last_use DESC NULLS LAST, key
