//! nginx: putting a site in place so that a bad one never stays, and asking what it serves.
//!
//! ```text
//! write by rename -> nginx -t -> reload -> new workers run -> the site answers
//!                        |          |              |                 |
//!                        +----------+--------------+-----------------+--> the old file back, nginx -t, reload
//! ```

mod ask;
pub mod flag;
mod workers;

use std::time::Duration;

use camino::Utf8Path;

pub use self::ask::{Health, Told, ask, health};
use crate::files;
use crate::host::command::{Command, Failed};
use crate::host::systemd::Systemd;
use crate::model::{AppName, Hinted, NginxSettings, Route, Site};

/// How long a check of the configuration, or its reload, may take.
const CHECK: Duration = Duration::from_secs(60);

/// How long a reloaded nginx may take to answer as its new site says.
const PROOF: Duration = Duration::from_secs(10);

/// The host's nginx.
#[derive(Clone, Debug)]
pub struct Nginx {
    settings: NginxSettings,
    systemd: Systemd,
}

/// What shows that nginx serves a site.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The app.
    pub app: &'a AppName,
    /// Its site.
    pub site: &'a Site,
    /// The site's second look.
    pub socket: &'a Utf8Path,
    /// Where the app's flag sends requests.
    pub route: Route,
    /// The version that the site's text tells.
    pub version: Option<&'a str>,
}

impl Proof<'_> {
    fn is_given_by(&self, told: &Told) -> bool {
        told.route == self.route && told.version.as_deref() == self.version
    }
}

impl Nginx {
    /// The nginx that `settings` name.
    pub fn new(settings: NginxSettings, systemd: Systemd) -> Self {
        Self { settings, systemd }
    }

    /// Checks nginx's whole configuration as it is on disk; its warnings. Fails with all that nginx said.
    pub async fn test(&self) -> eyre::Result<Vec<String>> {
        let (program, arguments) = self
            .settings
            .test
            .split_first()
            .ok_or_else(|| eyre::eyre!("cannot check nginx's configuration: no command is set for it"))?;
        let said = Command::new(program, arguments, CHECK).run().await;
        let said = said.map_err(|failed| refused(&failed))?;
        let warnings = said.stderr.lines().filter(|line| line.contains("[warn]"));
        Ok(warnings.map(str::to_owned).collect())
    }

    /// Makes nginx read its configuration anew, and waits until workers run that have read it. Fails where nginx keeps
    /// the old one, with what it wrote to its error log meanwhile.
    pub async fn reload(&self) -> eyre::Result<()> {
        let unit = &self.settings.unit;
        let before = workers::Snapshot::take(self.systemd.state(unit).await?.main_process)?;
        self.systemd.reload_unit(unit, CHECK).await?;
        before.wait_for_new(PROOF).await
    }

    /// Puts the site `text` at `path`, makes nginx serve it, and proves that: the site answers, or its second look on
    /// `socket` where it has no plain HTTP on a loopback address, with the color that the flag names. Says whether anything
    /// changed.
    ///
    /// Fails where nginx does not run, refuses the configuration, does not take it, or answers otherwise; then the file
    /// that was there before is back and nginx serves that, unless the error says otherwise.
    pub async fn put_site(&self, path: &Utf8Path, text: &str, proof: &Proof<'_>) -> eyre::Result<bool> {
        let told = ask::ask(proof.app, proof.site, proof.socket);
        // It may be on disk, and nginx not have read it: whoever wrote it was killed, or a reload failed.
        if files::read_bytes(path)?.as_deref() == Some(text.as_bytes())
            && told.await.is_ok_and(|told| proof.is_given_by(&told))
        {
            return Ok(false);
        }
        self.change(path, Some(text), Some(proof)).await?;
        Ok(true)
    }

    /// Takes the site at `path` away, and makes nginx forget it. Says whether there was one. Fails where nginx refuses
    /// the configuration without it; then it is back.
    pub async fn remove_site(&self, path: &Utf8Path) -> eyre::Result<bool> {
        if files::read_bytes(path)?.is_none() {
            return Ok(false);
        }
        self.change(path, None, None).await?;
        Ok(true)
    }

    async fn change(&self, path: &Utf8Path, text: Option<&str>, proof: Option<&Proof<'_>>) -> eyre::Result<()> {
        self.needs_to_run().await?;
        let old = files::read_bytes(path)?;
        put(path, text.map(str::as_bytes))?;
        let (error, reloaded) = match self.check(proof).await {
            Err(error) => (error, false),
            Ok(()) => match self.serve(proof).await {
                Err(error) => (error, true),
                Ok(()) => return Ok(()),
            },
        };
        put(path, old.as_deref())?;
        let verb = if text.is_some() { "put" } else { "remove" };
        if let Err(error) = self.test().await {
            let report = format!("cannot {verb} the site {path}, which is not at fault: {error:#}");
            return Err(hinted_as(&error, eyre::eyre!(report)));
        }
        // A reload costs every app idle connections: without one before there is nothing for one to take back.
        let back = if reloaded { self.reload().await } else { Ok(()) };
        let back = match (back, old) {
            (Ok(()), Some(_)) => "the file that was there before is back".to_owned(),
            (Ok(()), None) => "the file was taken away again".to_owned(),
            (Err(worse), _) => format!("and with what was there before: {worse:#}"),
        };
        let report = eyre::eyre!("cannot {verb} the site {path}: {error:#}; {back}");
        Err(hinted_as(&error, report))
    }

    async fn check(&self, proof: Option<&Proof<'_>>) -> eyre::Result<()> {
        let warnings = self.test().await?;
        proof.map_or(Ok(()), |proof| no_conflict(proof.site, &warnings))
    }

    async fn serve(&self, proof: Option<&Proof<'_>>) -> eyre::Result<()> {
        self.reload().await?;
        match proof {
            Some(proof) => ask::wait_for(proof, PROOF).await,
            None => Ok(()),
        }
    }

    async fn needs_to_run(&self) -> eyre::Result<()> {
        let unit = &self.settings.unit;
        let state = self.systemd.active_state(unit).await?;
        if state.is_down() {
            return Err(Hinted::new(
                format!("cannot change nginx's sites: {unit} is {state}"),
                format!("start it with `systemctl enable --now {unit}`"),
            )
            .into());
        }
        Ok(())
    }
}

/// The configuration holds nothing secret, and nginx in a container may run as anyone.
fn put(path: &Utf8Path, text: Option<&[u8]>) -> eyre::Result<()> {
    match text {
        Some(text) => files::write(path, text, 0o644),
        None => files::remove(path).map(drop),
    }
}

/// `report` with the hint and the details of `error`.
fn hinted_as(error: &eyre::Report, report: eyre::Report) -> eyre::Report {
    let (hint, details) = match Hinted::find(error) {
        Some(hinted) => (hinted.hint().to_owned(), hinted.details().to_vec()),
        None => ("see nginx's error log".to_owned(), Vec::new()),
    };
    Hinted::from(report, hint).with_details(details).into()
}

fn refused(failed: &Failed) -> eyre::Report {
    let lines = failed.lines();
    let reason = lines.iter().find(|line| line.contains("[emerg]")).or(lines.last());
    let reason = reason.map_or(failed.how.as_str(), |line| message(line));
    Hinted::new(
        format!("nginx refuses its configuration: {reason}"),
        format!("`{}` shows it", failed.command),
    )
    .with_details(lines)
    .into()
}

/// What a line of nginx says, without what stands before: `nginx: [emerg] ...` or `DATE TIME [emerg] PID#TID: ...`.
fn message(line: &str) -> &str {
    let said = line.split_once("] ").map_or(line, |(_, said)| said);
    match said.split_once(": ") {
        Some((from, rest)) if from.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#') => rest,
        _ => said,
    }
}

/// nginx only warns where two sites have the same name on the same address, and then ignores one of them.
fn no_conflict(site: &Site, warnings: &[String]) -> eyre::Result<()> {
    let conflict = warnings.iter().find(|warning| {
        warning
            .split_once("conflicting server name \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .is_some_and(|(name, _)| site.server_names.iter().any(|ours| ours.as_str() == name))
    });
    let Some(warning) = conflict else { return Ok(()) };
    Err(Hinted::new(
        format!(
            "another site has the same name on the same address, and nginx ignores one of them: {}",
            message(warning)
        ),
        "set [nginx] server_name or listen, or remove the other site (Debian's is /etc/nginx/sites-enabled/default)",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::command::Output;
    use crate::model::{Listen, ServerName};

    pub(super) fn site(name: &str, listen: &str) -> Site {
        Site {
            server_names: vec![ServerName::parse(name).unwrap()],
            listen: vec![Listen::parse(listen).unwrap()],
            default_server: false,
            certificate: None,
            max_body_size: 0,
            read_timeout: PROOF,
            send_timeout: PROOF,
            include: "/etc/nginx/shop.d".into(),
        }
    }

    #[test]
    fn a_name_that_is_taken_is_an_error() {
        let warning = "nginx: [warn] conflicting server name \"example.org\" on 0.0.0.0:80, ignored".to_owned();
        let error = no_conflict(&site("example.org", "80"), std::slice::from_ref(&warning)).unwrap_err();
        assert!(format!("{error:#}").contains("on 0.0.0.0:80"), "{error:#}");
        assert!(no_conflict(&site("shop.example.org", "80"), &[warning]).is_ok());
    }

    #[test]
    fn lines_of_nginx() {
        let bind = "2026/11/23 14:11:47 [emerg] 71#71: bind() to 0.0.0.0:80 failed (98: Address already in use)";
        assert_eq!(
            message(bind),
            "bind() to 0.0.0.0:80 failed (98: Address already in use)"
        );
        assert_eq!(
            message("nginx: [emerg] unexpected end of file"),
            "unexpected end of file"
        );
        assert_eq!(message("docker: no such container"), "docker: no such container");
    }

    #[test]
    fn nginx_says_why() {
        let failed = Failed {
            command: "/usr/sbin/nginx -t".into(),
            how: "exit status: 1".into(),
            output: Output {
                stdout: String::new(),
                stderr: "nginx: [warn] something\n\
                         nginx: [emerg] unknown directive \"x\" in /etc/nginx/sites-enabled/shop.conf:3\n\
                         nginx: configuration file /etc/nginx/nginx.conf test failed\n"
                    .into(),
            },
        };
        let report = refused(&failed);
        assert_eq!(
            report.to_string(),
            "nginx refuses its configuration: unknown directive \"x\" in /etc/nginx/sites-enabled/shop.conf:3"
        );
        assert_eq!(Hinted::find(&report).unwrap().details().len(), 3);
    }
}
