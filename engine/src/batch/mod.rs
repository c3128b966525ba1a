//! Open batches, sealing and the pool.
