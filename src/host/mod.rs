//! This machine: files, systemd, Docker, nginx, probes, connections.
//!
//! * [`machine`]: the engine's effects: what each step does here
//! * [`install`]: the files of an app, and what must hold before they are written
//! * [`layout`]: where everything is
//! * [`releases`], [`switches`]: what is on record
//! * [`files`]: writing so that a crash leaves the old or the new, never half
//! * [`flag`]: the file that moves the traffic
//! * [`systemd`]: units, over D-Bus
//! * [`logs`]: the end of a unit's log
//! * [`docker`]: images, pinned
//! * [`nginx`]: its sites and what it says about itself
//! * [`probe`]: is an instance healthy
//! * [`process`]: has it ended
//! * [`connections`]: who is connected to a port; draining
//! * [`command`]: running a program
//! * [`http`]: one small request

pub mod command;
pub mod connections;
pub mod docker;
pub mod files;
pub mod flag;
pub mod http;
pub mod install;
pub mod layout;
pub mod logs;
pub mod machine;
pub mod nginx;
pub mod probe;
pub mod process;
pub mod releases;
pub mod switches;
pub mod systemd;
mod verify;

/// The id of this boot (`/proc/sys/kernel/random/boot_id`, random(4)).
pub fn boot_id() -> eyre::Result<String> {
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}
