//! Configuration: one TOML file, the environment on top of it, all faults reported at once.

pub mod settings;

pub use settings::*;
pub struct Loaded {
    pub settings: Settings,
    pub effective: String,
}
