-- One row for each event, without its later copies: an event that several trails, deliveries or imports brought counts
-- once. The columns are CloudTrail's (schemas/record-columns.md), and two that answer "who" and "through what":
--
--   actor  the role or user behind a session, else the caller's ARN, else the calling service, else its id or account
--   via    the AWS service that made the call on the actor's behalf; null when the actor called by itself
SELECT
    {columns},
    coalesce(issuer_arn, principal_arn, invoked_by, principal_id, account_id) AS actor,
    coalesce(
        invoked_by,
        CASE WHEN source_ip_address LIKE '%.amazonaws.com' THEN source_ip_address END
    ) AS via
FROM records
WHERE NOT duplicate
