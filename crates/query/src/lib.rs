//! SQL, named audits, verification of the lake, output formats.
