//! Fixed clock and randomness, faulty storage, record generators, whole-ledger check.
