//! An append-only, chained, signed log of opaque bytes, and its verifier.
