//! From request to records, from outcome to answer.

/// A record that knows its size and how to write itself.
pub trait Encode {
    /// A cheap upper bound of key and value together.
    fn len_max(&self) -> usize;
    /// The exact length of key and value together.
    fn len(&self) -> usize;
    /// Writes key and value; `None` when they do not fit.
    fn encode(&self, free: &mut [u8]) -> Option<(usize, usize)>;
}
