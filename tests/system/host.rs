//! A host, and what can be done with it.

use std::net::IpAddr;
use std::process::Command;

/// A container that boots systemd.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: IpAddr,
}

impl Host {
    /// The host that runs and that `BGCTL_TEST_HOST` names.
    pub fn shared(_name: &str, prepare: impl FnOnce(&Self)) -> Self {
        let name = std::env::var("BGCTL_TEST_HOST").expect("BGCTL_TEST_HOST must name a host container that runs");
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let inspect = Command::new("docker")
            .args(["inspect", "--format", format, &name])
            .output()
            .unwrap();
        let address = String::from_utf8_lossy(&inspect.stdout).trim().parse().unwrap();
        let host = Self { name, address };
        prepare(&host);
        host
    }

    /// Its address, as seen from this machine.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Runs a shell command that must succeed; returns what it wrote to stdout, without the last line end.
    #[track_caller]
    pub fn succeed(&self, command: &str) -> String {
        let output = Command::new("docker")
            .args(["exec", &self.name, "sh", "-c", command])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}\n{output:?}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}
