//! This machine: files, systemd, Docker, nginx, probes, connections.
//!
//! * [`layout`]: where everything is
//! * [`files`]: writing so that a crash leaves the old or the new, never half
//! * [`flag`]: the file that moves the traffic
//! * [`systemd`]: units, over D-Bus
//! * [`logs`]: the end of a unit's log
//! * [`docker`]: images, pinned
//! * [`nginx`]: its sites and what it says about itself
//! * [`probe`]: is an instance healthy
//! * [`connections`]: who is connected to a port; draining
//! * [`command`]: running a program
//! * [`http`]: one small request

pub mod command;
pub mod connections;
pub mod docker;
pub mod files;
pub mod flag;
pub mod http;
pub mod layout;
pub mod logs;
pub mod nginx;
pub mod probe;
pub mod systemd;
