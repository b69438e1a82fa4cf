//! CloudTrail log files: AWS's key layout, written and named.
