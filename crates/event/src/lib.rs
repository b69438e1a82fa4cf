//! The vocabulary: one CloudTrail record, and its lossless split into columns and back.
