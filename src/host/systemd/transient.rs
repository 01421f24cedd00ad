//! Commands that run once, in units of their own (systemd.unit(5), "transient").

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use zbus::Variant;

use super::explain::{explain, is_loaded};
use super::job::Ended;
use super::{JOB_MARGIN, Systemd, UnitState};
use crate::model::UnitName;

/// How long what a command left behind may take to end before it is killed.
const STOP: Duration = Duration::from_secs(2);
/// The most processes and threads of a command.
const TASKS: u64 = 512;
/// The most lines of a command that the journal takes in some time; the rest is counted there, and dropped.
const LINES: u32 = 10_000;
const LINES_TIME: Duration = Duration::from_secs(30);
/// How long a unit of that name that has ended may take to be forgotten.
const FORGOTTEN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// What root may do in a command, as in `units/bgctl-switch@.service`: a bit for each number of capabilities(7).
const CAPABILITIES: u64 = chown_to_sys_ptrace();

const fn chown_to_sys_ptrace() -> u64 {
    const CHOWN: u64 = 1 << 0;
    const DAC_OVERRIDE: u64 = 1 << 1;
    const DAC_READ_SEARCH: u64 = 1 << 2;
    const FOWNER: u64 = 1 << 3;
    const KILL: u64 = 1 << 5;
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    const NET_RAW: u64 = 1 << 13;
    const SYS_PTRACE: u64 = 1 << 19;
    CHOWN | DAC_OVERRIDE | DAC_READ_SEARCH | FOWNER | KILL | SETGID | SETUID | NET_RAW | SYS_PTRACE
}

/// A command, and what confines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transient {
    /// The unit that it runs in; there is one at a time.
    pub unit: UnitName,
    /// What `systemctl status` says of it.
    pub description: String,
    /// A line for `/bin/sh -c`.
    pub line: String,
    /// Its variables, beside those that systemd sets; everybody can read them.
    pub environment: Vec<(String, String)>,
    /// Who runs it; `None`: a user that there is only for it (systemd.exec(5), `DynamicUser=`).
    pub user: Option<String>,
    /// The most memory of all its processes together, bytes.
    pub memory: u64,
    /// How long it may take, more than zero.
    pub timeout: Duration,
    /// What it cannot see, root neither.
    pub hidden: Vec<Utf8PathBuf>,
    /// It is stopped when this unit is.
    pub stops_with: UnitName,
}

impl Transient {
    /// The properties of its unit (org.freedesktop.systemd1(5), systemd.service(5), systemd.exec(5)). Its start is all that it does:
    /// the job of the start ends when the command and all that it left behind have ended. The line is taken as it is: systemd
    /// expands nothing in it.
    fn properties(&self) -> Vec<(&'static str, Variant<'_>)> {
        // `ExecStartEx` with `no-env-expand` would say it better, but systemd 252 writes it to the unit's file by that name, and
        // cannot read that when it is reloaded.
        let line = self.line.replace('$', "$$");
        let shell = ["/bin/sh", "-c", &line].map(str::to_owned).to_vec();
        let start = vec![("/bin/sh".to_owned(), shell, false)];
        let variable = |(name, value): &(String, String)| format!("{name}={value}");
        let environment: Vec<_> = self.environment.iter().map(variable).collect();
        // Another user than root has none by himself.
        let capabilities = match self.user.as_deref() {
            Some("root") => CAPABILITIES,
            _ => 0,
        };
        let families = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"].map(str::to_owned);
        // It need not be there.
        let hidden: Vec<_> = self.hidden.iter().map(|path| format!("-{path}")).collect();
        let mut properties = vec![
            // It is not forgotten before it was asked how it ended.
            ("AddRef", Variant::from(true)),
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("Description", Variant::from(self.description.as_str())),
            ("StopPropagatedFrom", Variant::from(vec![self.stops_with.as_str()])),
            ("Type", Variant::from("oneshot")),
            ("ExecStart", Variant::from(start)),
            ("Environment", Variant::from(environment)),
            ("TimeoutStartUSec", microseconds(self.timeout)),
            ("TimeoutStopUSec", microseconds(STOP)),
            ("KillMode", Variant::from("control-group")),
            ("MemoryMax", Variant::from(self.memory)),
            ("MemorySwapMax", Variant::from(0_u64)),
            ("TasksMax", Variant::from(TASKS)),
            ("StandardInput", Variant::from("null")),
            ("StandardOutput", Variant::from("journal")),
            ("StandardError", Variant::from("journal")),
            ("LogRateLimitIntervalUSec", microseconds(LINES_TIME)),
            ("LogRateLimitBurst", Variant::from(LINES)),
            ("CapabilityBoundingSet", Variant::from(capabilities)),
            ("NoNewPrivileges", Variant::from(true)),
            ("LockPersonality", Variant::from(true)),
            ("RestrictAddressFamilies", Variant::from((true, families.to_vec()))),
            // None of them may be made.
            ("RestrictNamespaces", Variant::from(0_u64)),
            ("RestrictRealtime", Variant::from(true)),
            ("RestrictSUIDSGID", Variant::from(true)),
            ("SystemCallArchitectures", Variant::from(vec!["native"])),
            ("InaccessiblePaths", Variant::from(hidden)),
        ];
        properties.push(match &self.user {
            Some(user) => ("User", Variant::from(user.as_str())),
            None => ("DynamicUser", Variant::from(true)),
        });
        properties
    }
}

/// As systemd counts time.
fn microseconds(time: Duration) -> Variant<'static> {
    Variant::from(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

impl Systemd {
    /// Runs a command to its end, and returns the state of its unit then. What ran in that unit before is stopped. Errors where it
    /// cannot be started.
    ///
    /// The unit stays in memory until [`Systemd::forget`]; where systemd lost it earlier, its state has no `main_exit`.
    pub async fn run_transient(&self, command: &Transient) -> eyre::Result<UnitState> {
        let unit = &command.unit;
        self.end_transient(unit).await?;
        let mut taken = None;
        loop {
            let properties = command.properties();
            let start = async || {
                let manager = &self.manager;
                manager
                    .start_transient_unit(unit.as_str(), "fail", &properties, &[])
                    .await
            };
            match self.job(start, command.timeout + STOP + JOB_MARGIN).await {
                Some(Ok(Ended::Result(_) | Ended::Unheard)) => return self.state(unit).await,
                // Not yet forgotten, or started by an attempt whose answer was lost.
                Some(Err(error))
                    if is_loaded(&error) && taken.get_or_insert_with(Instant::now).elapsed() < FORGOTTEN =>
                {
                    self.end_transient(unit).await?;
                    tokio::time::sleep(LOOK).await;
                }
                Some(Err(error)) => return Err(explain("start", unit, &error)),
                None => {
                    self.end_transient(unit).await?;
                    eyre::bail!("cannot run {unit}: it did not end by its timeout");
                }
            }
        }
    }

    /// Ends what [`Systemd::run_transient`] of a process that was killed has left in a unit.
    pub async fn end_transient(&self, unit: &UnitName) -> eyre::Result<()> {
        self.stop(unit, STOP + JOB_MARGIN).await
    }

    /// Lets systemd forget a unit that [`Systemd::run_transient`] made.
    pub async fn forget(&self, unit: &UnitName) {
        if let Err(error) = self.manager.unref_unit(unit.as_str()).await {
            tracing::debug!("cannot let go of {unit}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppName;

    #[test]
    fn command_is_confined_and_taken_as_it_is() {
        let app = AppName::parse("shop").unwrap();
        let mut command = Transient {
            unit: UnitName::verify(&app),
            description: "Check of shop".to_owned(),
            line: "echo \"${PORT} $x %n\"\nfalse".to_owned(),
            environment: vec![("PORT".to_owned(), "9001".to_owned())],
            user: None,
            memory: 1 << 29,
            timeout: Duration::from_secs(60),
            hidden: vec!["/var/lib/bgctl".into()],
            stops_with: UnitName::switch(&app),
        };
        let properties = command.properties();
        let lines: Vec<_> = properties
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
        let capabilities = |command: &Transient| {
            let properties = command.properties();
            let found = properties.iter().find(|(name, _)| *name == "CapabilityBoundingSet");
            format!("{:?}", found.unwrap().1)
        };
        command.user = Some("www-data".to_owned());
        assert!(capabilities(&command).contains('0'));
        command.user = Some("root".to_owned());
        assert!(capabilities(&command).contains(&CAPABILITIES.to_string()));
    }
}
