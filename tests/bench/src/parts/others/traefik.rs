//! Traefik: a file provider that watches a folder.

use fs_err as fs;

use super::Proxy;
use super::peer::{Running, Side, replace};
use crate::app::SHARED;

const PORT: u16 = 8293;

/// A running Traefik.
#[derive(Debug)]
pub struct Traefik {
    file: String,
    _running: Running,
}

impl Traefik {
    /// Starts it with requests going to `active`.
    pub fn start(program: &str, active: Side) -> eyre::Result<Self> {
        let folder = format!("{SHARED}/traefik");
        fs::create_dir_all(&folder)?;
        let file = format!("{folder}/site.yml");
        fs::write(&file, configuration(active))?;
        let running = Running::start(
            program,
            &[
                &format!("--entryPoints.front.address=127.0.0.1:{PORT}"),
                &format!("--providers.file.directory={folder}"),
                // By default it waits two seconds before it looks at a change.
                "--providers.providersThrottleDuration=1ms",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
            ],
        )?;
        Ok(Self {
            file,
            _running: running,
        })
    }
}

impl Proxy for Traefik {
    fn port(&self) -> u16 {
        PORT
    }

    fn move_to(&self, side: Side) -> eyre::Result<()> {
        replace(&self.file, &configuration(side))
    }

    /// It does not tell how many requests a server that is no longer configured still has.
    fn drain(&self, _side: Side) -> eyre::Result<()> {
        Ok(())
    }
}

fn configuration(side: Side) -> String {
    format!(
        "http:
  routers:
    app:
      rule: PathPrefix(`/`)
      entryPoints: [front]
      service: app
  services:
    app:
      loadBalancer:
        servers:
          - url: http://127.0.0.1:{}
",
        side.port()
    )
}
