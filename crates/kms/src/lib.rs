//! The embedded key engine: states, material, operations, and the only audited path.
