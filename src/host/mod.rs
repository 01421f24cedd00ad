//! This machine: systemd, connections, processes, probes, programs.
//!
//! * [`layout`]: where everything is
//! * [`systemd`]: units, over D-Bus
//! * [`probe`]: is an instance healthy
//! * [`assertion`]: does it answer a request as it should
//! * [`process`]: its name, its sockets, its end
//! * [`program`]: the file of one, and whether it was changed
//! * [`connections`]: who is connected to a port; draining
//! * [`command`]: running a program
//! * [`http`]: one small request
//! * [`identity`]: who this host is to others

pub mod assertion;
pub mod command;
pub mod connections;
pub mod http;
pub mod identity;
pub mod layout;
pub mod probe;
pub mod process;
pub mod program;
pub mod systemd;

/// Tells systemd how it goes (`sd_notify(3)`, `STATUS=`), in one line: what follows a line end would be another message.
pub fn tell(status: &str) {
    let line = status.replace(char::is_control, " ");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Status(&line)]) {
        tracing::debug!("cannot tell systemd the status: {error}");
    }
}

/// The id of this boot, in three parts: the kernel's (`/proc/sys/kernel/random/boot_id`, random(4)); the start time of process
/// 1 (proc(5), `/proc/PID/stat`), since a host that is a container boots again under the same kernel; and the last start of
/// user space, since a soft reboot (systemd-soft-reboot.service(8)) ends all units and keeps both. Fails where one of them
/// cannot be read.
pub async fn boot_id(systemd: &systemd::Systemd) -> eyre::Result<String> {
    let kernel = procfs::sys::kernel::random::boot_id()?;
    let first = procfs::process::Process::new(1)?.stat()?;
    let user_space = systemd.user_space().await?;
    Ok(format!("{kernel}/{}/{user_space}", first.starttime))
}
