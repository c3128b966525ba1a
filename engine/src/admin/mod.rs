//! The admin plane: health, readiness, metrics, live page. Its own port, its own thread.
