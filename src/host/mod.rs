//! This machine: systemd, connections, processes, probes, programs.
//!
//! * [`layout`]: where everything is
//! * [`systemd`]: units, over D-Bus
//! * [`probe`]: is an instance healthy
//! * [`process`]: has it ended
//! * [`connections`]: who is connected to a port; draining
//! * [`command`]: running a program
//! * [`http`]: one small request
//! * [`identity`]: who this host is to others

pub mod command;
pub mod connections;
pub mod http;
pub mod identity;
pub mod layout;
pub mod probe;
pub mod process;
pub mod systemd;

/// Tells systemd how it goes (`sd_notify(3)`, `STATUS=`), in one line: what follows a line end would be another message.
pub fn tell(status: &str) {
    let line = status.replace(char::is_control, " ");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Status(&line)]) {
        tracing::debug!("cannot tell systemd the status: {error}");
    }
}

/// The id of this boot: the kernel's (`/proc/sys/kernel/random/boot_id`, random(4)) and the start time of process 1
/// (proc(5), `/proc/PID/stat`), since a host that is a container boots again under the same kernel.
pub fn boot_id() -> eyre::Result<String> {
    let kernel = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let first = fs_err::read_to_string("/proc/1/stat")?;
    let started = start_time(&first).ok_or_else(|| eyre::eyre!("cannot read when process 1 started: {first:?}"))?;
    Ok(format!("{}/{started}", kernel.trim()))
}

/// Field 22; the second one is a name in parentheses, and may hold anything.
fn start_time(stat: &str) -> Option<&str> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let fields: Vec<_> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b (c)) {}\n", fields.join(" "));
        assert_eq!(start_time(&stat), Some("22"));
        assert_eq!(start_time("1 (init) S"), None);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}
