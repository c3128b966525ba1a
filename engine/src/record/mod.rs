//! Encoding of one record.
