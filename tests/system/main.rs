//! bgctl on real hosts: each is a container that boots systemd, with Docker, etcd and nginx inside.
//!
//! `vagrant/sandbox test` prepares what these need (bgctl, the load generator and the demo app, built for release; a
//! Docker engine) and runs them. A host of a test that failed leaves its journal in `target/system-tests`; with
//! `BGCTL_KEEP_HOSTS=1` no host is removed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it saw"
)]

mod app;
mod course;
mod host;
mod http;
mod load;
mod lock;
mod part;
mod settled;
mod trap;

mod abort;
mod alone;
mod apps;
mod bad_input;
mod bad_release;
mod balancer;
mod companions;
mod confirm;
mod crash;
mod cursor;
mod docker;
mod engine;
mod etcd_away;
mod faults;
mod follow;
mod heads;
mod http_level;
mod includes;
mod install;
mod killed;
mod locations;
mod modes;
mod nginx_container;
mod power_cut;
mod program;
mod readme;
mod reload;
mod repair;
mod resume;
mod rivals;
mod rollback;
mod route;
mod secrets;
mod site;
mod sites_folder;
mod soak;
mod stage;
mod state_directory;
mod stop_first;
mod store;
mod switch;
mod trouble;
mod uninstall;
mod upgrade;
mod verify;
mod vhosts;
