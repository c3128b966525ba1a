//! HTTP/1.1 as plain functions: no socket, no clock.
