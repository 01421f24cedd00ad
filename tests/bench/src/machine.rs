//! What the figures were measured on.

use serde_json::{Value, json};

use crate::host::sh;

/// The machine and the versions of what takes part.
pub fn describe() -> eyre::Result<Value> {
    let line = |command: &str| sh(command).map(|text| text.trim().to_owned());
    Ok(json!({
        "processor": line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1")?,
        "cores": line("nproc")?,
        "memory": line("awk '/MemTotal/ { printf \"%.0f GiB\", $2 / 1048576 }' /proc/meminfo")?,
        "kernel": line("uname -r")?,
        "load_before": line("cut -d ' ' -f 1 /proc/loadavg")?,
        "bgctl": line("bgctl --version")?,
        "systemd": line("systemctl --version | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p'")?,
        "nginx": line("nginx -v 2>&1 | sed 's|.*/||'")?,
        "docker": line("docker version --format '{{.Server.Version}}'")?,
        "etcd": line("etcdctl version | sed -n 's/etcdctl version: //p'")?,
    }))
}

/// The same in a line.
pub fn in_words(machine: &Value) -> String {
    let of = |name: &str| machine.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    format!(
        "{} with {} cores and {}, Linux {}, load {} before; {}, systemd {}, nginx {}, Docker {}, etcd {}",
        of("processor"),
        of("cores"),
        of("memory"),
        of("kernel"),
        of("load_before"),
        of("bgctl"),
        of("systemd"),
        of("nginx"),
        of("docker"),
        of("etcd")
    )
}
