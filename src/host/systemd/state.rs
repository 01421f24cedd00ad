//! What systemd knows about a unit.

use camino::Utf8PathBuf;
use eyre::WrapErr as _;

use super::bus::{ServiceProxy, UnitProxy};
use crate::model::{ActiveState, UnitName};

/// A service unit, as systemd sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// Whether it has a unit file that systemd could read; what the rest says otherwise has no meaning.
    pub load: Load,
    /// `ActiveState`.
    pub active: ActiveState,
    /// `SubState`, as in `running` or `start-post`.
    pub sub: String,
    /// Its description, as it is now.
    pub description: String,
    /// When it came to this state; none where it never was in another one.
    pub since: Option<jiff::Timestamp>,
    /// Id of its last start, 32 hexadecimal digits (systemd.exec(5), `$INVOCATION_ID`).
    pub invocation: Option<String>,
    /// The file it comes from.
    pub fragment: Option<Utf8PathBuf>,
    /// Whether that or its drop-ins changed since systemd read them. Of links that only enable units it says nothing.
    pub needs_reload: bool,
    /// What it last said about itself (`sd_notify(3)`, `STATUS=`).
    pub status_text: Option<String>,
    /// The memory it uses, bytes; none where that is not measured.
    pub memory: Option<u64>,
    /// How often systemd restarted it by itself since it was started.
    pub restarts: u32,
    /// How its last run ended: `success`, or why not, as in `exit-code` or `timeout`.
    pub result: String,
    /// Its main process; none where none runs.
    pub main_process: Option<u32>,
    /// How its main process ended; none where it did not.
    pub main_exit: Option<MainExit>,
}

/// Whether systemd has a unit's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Yes.
    Loaded,
    /// There is none.
    NotFound,
    /// Something else, in systemd's word: `masked`, `bad-setting`, `error`, ...
    Other(String),
}

impl Load {
    pub(super) fn from_systemd(word: String) -> Self {
        match word.as_str() {
            "loaded" => Self::Loaded,
            "not-found" => Self::NotFound,
            _ => Self::Other(word),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainExit {
    /// It exited with this status.
    Status(i32),
    /// A signal of this number killed it.
    Signal(i32),
}

impl std::fmt::Display for MainExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}

impl UnitState {
    pub(super) async fn read(unit: &UnitProxy<'_>, service: &ServiceProxy<'_>) -> eyre::Result<Self> {
        let (load, active, sub, description, fragment, needs_reload, since, invocation) = tokio::try_join!(
            unit.load_state(),
            unit.active_state(),
            unit.sub_state(),
            unit.description(),
            unit.fragment_path(),
            unit.need_daemon_reload(),
            unit.state_change_timestamp(),
            unit.invocation_id(),
        )?;
        let (status_text, memory, restarts, result, main_process, code, status) = tokio::try_join!(
            service.status_text(),
            service.memory_current(),
            service.n_restarts(),
            service.result(),
            service.main_pid(),
            service.exec_main_code(),
            service.exec_main_status(),
        )?;
        Ok(Self {
            load: Load::from_systemd(load),
            active: active_state(&active)?,
            sub,
            description,
            since: timestamp(since)?,
            invocation: (!invocation.is_empty()).then(|| hex(&invocation)),
            fragment: some(fragment).map(Into::into),
            needs_reload,
            status_text: some(status_text),
            memory: (memory != u64::MAX).then_some(memory),
            restarts,
            result,
            main_process: (main_process != 0).then_some(main_process),
            main_exit: main_exit(code, status),
        })
    }

    /// Whether its last stop had to kill it, since it did not end by itself: by systemd, or by the engine of its container, of which
    /// the client says so (128 and SIGKILL).
    pub fn was_killed_to_stop(&self) -> bool {
        self.result == "timeout" || (self.result == "exit-code" && self.main_exit == Some(MainExit::Status(137)))
    }

    /// Why the last run did not end well, as the end of a sentence; none where it did, or none is over.
    pub fn failure(&self) -> Option<String> {
        if self.result == "success" {
            return None;
        }
        let mut reason = match (self.result.as_str(), self.main_exit) {
            ("exit-code", Some(exit @ MainExit::Status(1..)))
            | ("signal" | "core-dump", Some(exit @ MainExit::Signal(_))) => {
                format!("its main process {exit}")
            }
            // systemd ended the main process because of it.
            ("exit-code" | "signal", _) => "its health check or another command of its unit failed".to_owned(),
            ("timeout", _) => "it took too long".to_owned(),
            ("oom-kill", _) => "it used too much memory".to_owned(),
            ("start-limit-hit", _) => "it was started too often in too short a time".to_owned(),
            ("exec-condition", _) => "its ExecCondition= was not met".to_owned(),
            (other, _) => other.to_owned(),
        };
        if let Some(status) = &self.status_text {
            reason = format!("{reason}, its last status was {status:?}");
        }
        Some(reason)
    }
}

/// Reads systemd's word for a state, also those of newer versions. Fails on a word that means nothing here.
pub(super) fn active_state(word: &str) -> eyre::Result<ActiveState> {
    match word {
        "refreshing" => Some(ActiveState::Reloading),
        "maintenance" => Some(ActiveState::Inactive),
        _ => ActiveState::from_systemd(word),
    }
    .ok_or_else(|| eyre::eyre!("systemd reports a state that this bgctl does not know: {word:?}"))
}

/// The name of a unit of a listing; none for what is no service.
pub(super) fn service_name(name: &str) -> Option<UnitName> {
    UnitName::service(name).ok()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Microseconds since 1970; 0 stands for never.
fn timestamp(microseconds: u64) -> eyre::Result<Option<jiff::Timestamp>> {
    if microseconds == 0 {
        return Ok(None);
    }
    let stamp = i64::try_from(microseconds).wrap_err("systemd reports a time far in the future")?;
    Ok(Some(jiff::Timestamp::from_microsecond(stamp)?))
}

/// `ExecMainCode` is `si_code` of waitid(2): 0 while it runs, `CLD_EXITED` (1), `CLD_KILLED` (2) or `CLD_DUMPED` (3).
fn main_exit(code: i32, status: i32) -> Option<MainExit> {
    match code {
        0 => None,
        1 => Some(MainExit::Status(status)),
        _ => Some(MainExit::Signal(status)),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_newer_versions() {
        assert_eq!(active_state("refreshing").unwrap(), ActiveState::Reloading);
        assert_eq!(active_state("failed").unwrap(), ActiveState::Failed);
        assert!(active_state("dancing").unwrap_err().to_string().contains("\"dancing\""));
    }

    #[test]
    fn values() {
        assert_eq!(timestamp(0).unwrap(), None);
        assert_eq!(timestamp(1_000_000).unwrap().unwrap().as_second(), 1);
        assert_eq!(main_exit(0, 0), None);
        assert_eq!(main_exit(1, 3).unwrap().to_string(), "exited with status 3");
        assert_eq!(main_exit(2, 9).unwrap().to_string(), "was killed by signal 9");
        assert_eq!(hex(&[0x0a, 0xff]), "0aff");
    }
}
