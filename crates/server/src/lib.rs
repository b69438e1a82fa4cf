//! The AWS-compatible HTTP edge.
