//! Who calls, and may they: principals, policy documents, decisions.
