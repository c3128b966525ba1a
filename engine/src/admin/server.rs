//! The admin plane's thread and socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::watch;

use super::answer;
use super::state::State;

/// How long a stop waits for answers that are being written.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// The running admin plane. Stops when it is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// The bound address: the port is a real one even where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and waits for the thread: at most half a second for answers that are being written.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Fails only where the thread has ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread panicked");
        }
    }
}

/// Binds `listen` and serves on a thread of its own.
///
/// # Errors
/// The address can't be bound, or the thread not be started; the error names the address.
pub fn start(listen: SocketAddr, state: Arc<State>) -> io::Result<Handle> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("admin.listen = {listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(named)?;
    listener.set_nonblocking(true).map_err(named)?;
    let address = listener.local_addr().map_err(named)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(named)?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(named)?
    };
    let (stop, stopped) = watch::channel(false);
    let thread = thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || runtime.block_on(serve(listener, state, stopped)))
        .map_err(named)?;
    Ok(Handle { address, stop, thread: Some(thread) })
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(answer::page))
        .route("/health", get(answer::health))
        .route("/ready", get(answer::ready))
        .route("/metrics", get(answer::metrics))
        .route("/sinks", get(answer::sinks))
        .route("/live", get(answer::live))
        .route("/config", get(answer::config))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(state)
}

async fn serve(listener: tokio::net::TcpListener, state: Arc<State>, stopped: watch::Receiver<bool>) {
    let mut graceful = stopped.clone();
    let mut forced = stopped;
    let serving = axum::serve(listener, router(state)).with_graceful_shutdown(async move {
        let _ = graceful.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        _ = serving => {}
        () = async move {
            let _ = forced.wait_for(|stop| *stop).await;
            tokio::time::sleep(STOP_PATIENCE).await;
        } => {}
    }
}
