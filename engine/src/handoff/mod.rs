//! What crosses threads: doorbells.
