//! x
pub struct State;
impl State {
    pub fn new<A, B>(_: A, _: B, _: String) -> Self {
        Self
    }
}
pub struct Handle;
impl Handle {
    pub fn address(&self) -> std::net::SocketAddr {
        unreachable!()
    }
    pub fn stop(self) {}
}
pub fn start(_: std::net::SocketAddr, _: std::sync::Arc<State>) -> std::io::Result<Handle> {
    Ok(Handle)
}
