//! The contract with clients, end to end over sockets, on both I/O drivers: what is answered to what, and what is
//! stored then. Each test is one sentence of the specification.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod admin;
mod apps;
mod body_limits;
mod configuration;
mod connection;
mod content_encoding;
mod cors;
mod emf;
mod event;
mod framing;
mod https;
mod proxies;
mod routes;
mod smuggling;
mod status_paths;
mod timeouts;
