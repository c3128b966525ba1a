//! From request to records, from outcome to answer.
