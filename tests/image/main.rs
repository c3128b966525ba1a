//! The container image as a host runs it: by runc, under a seccomp profile, with a read-only root, as nobody, with a
//! limit of memory, in place of the containers that it replaces.
//!
//! `tests/setup/image.sh` builds it from the release binary, on a root made of Debian packages. `make test-image` does
//! that and runs these. A machine that can't run containers fails them: none is left out.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod command;
mod container;
mod contents;
mod drain;
mod driver;
mod health;
mod memory;
mod podman;
mod profile;
mod seed;
mod volume;
