//! bgctl against what is real: on hosts that are containers which boot systemd, with etcd, nginx and Docker inside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it saw"
)]

mod host;

mod store;
