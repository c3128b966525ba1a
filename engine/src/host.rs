//! hedge
pub struct Host {
    pub cpus_allowed: Vec<usize>,
    pub memory_bytes: u64,
    pub memory_limited_by: &'static str,
    pub files_max: u64,
}
impl Host {
    pub fn detect() -> Self {
        Self { cpus_allowed: vec![0, 1], memory_bytes: 8 << 30, memory_limited_by: "x", files_max: 20000 }
    }
    pub fn shards_default(&self) -> u16 {
        2
    }
}
pub fn pin_to(_: usize) -> std::io::Result<()> {
    Ok(())
}
