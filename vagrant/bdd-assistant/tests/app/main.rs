//! The program itself, started on a free port.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod api;
mod load;
mod start;
mod stop;
mod support;
