//! What people see of a run: a summary on the terminal, a progress bar while it goes on, a page to publish, and the
//! schema of the JSON for machines.
//!
//! ```text
//!                    ┌▶ summary            one screen of text
//!   LoadResult ──────┼▶ picture ─▶ curve ─▶ page     SVG and tables in one HTML file
//!                    └▶ schema             the JSON's shape, published
//!   Live ────────────▶ progress            a bar on stderr
//! ```
//!
//! Everything but `progress` is a pure function of results.

pub mod axis;
pub mod curve;
mod decimate;
pub mod page;
pub mod picture;
mod plan;
pub mod progress;
pub mod quantity;
pub mod schema;
pub mod summary;
mod svg;
mod table;

#[cfg(test)]
mod sample;
