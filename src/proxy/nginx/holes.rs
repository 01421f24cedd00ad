//! Known holes in nginx that a site opens, and the versions that close them: by nginx's advisories
//! (<https://nginx.org/en/security_advisories.html>) and the changelogs of Debian's packages.
//!
//! Which holes a build has only the packages tell that are known here: Debian's, which close them under the old version, and
//! nginx's own. Of others nothing is said.

use std::time::Duration;

use super::is_nginx;
use crate::host::command::Command;
use crate::model::{NginxSettings, Site};

/// A question to the package manager.
const ASK: Duration = Duration::from_secs(10);

/// A hole that every site with a certificate opens.
const TLS: Hole = Hole {
    name: "CVE-2026-118899",
    what: "a request over TLS 1.3 can make a worker of nginx hang",
    stable: [1, 30, 7],
    mainline: [1, 31, 9],
    debian: &[("1.22.1-9+deb12u", 11), ("1.26.3-3+deb13u", 11)],
};

/// A hole, and where it is closed.
struct Hole {
    name: &'static str,
    what: &'static str,
    /// nginx's first stable version without it.
    stable: [u32; 3],
    /// nginx's first mainline version without it.
    mainline: [u32; 3],
    /// Debian's packages: what stands before the number of the update, and the first number without it.
    debian: &'static [(&'static str, u32)],
}

/// What an operator should know of the nginx of this host, for a site; a sentence each.
pub async fn known(settings: &NginxSettings, site: &Site) -> Vec<String> {
    if site.certificate.is_none() || !is_nginx(&settings.test) {
        return Vec::new();
    }
    let ask = ["--show", "--showformat", "${Version}", "nginx"];
    match Command::new("dpkg-query", ask, ASK).run().await {
        Ok(said) => TLS.told(said.stdout.trim()).into_iter().collect(),
        Err(error) => {
            tracing::debug!("it is not known which package nginx is from: {error}");
            Vec::new()
        }
    }
}

impl Hole {
    /// What it means that `package` is installed; none where that does not have it, or is not known.
    fn told(&self, package: &str) -> Option<String> {
        let debian = self.debian.iter();
        let updates = debian.filter_map(|(base, first)| Some((update(package, base)?, base, first)));
        let closed = match updates.into_iter().next() {
            Some((update, base, first)) => (update < *first).then(|| format!("{base}{first}")),
            None => self.closed_by(nginx_own(package)?),
        }?;
        let Self { name, what, .. } = self;
        Some(format!(
            "{what} ({name}), and this site has TLS: nginx is {package}, and {closed} has no such hole"
        ))
    }

    fn closed_by(&self, version: [u32; 3]) -> Option<String> {
        let is_mainline = version >= [1, 31, 0];
        let first = if is_mainline { self.mainline } else { self.stable };
        (version < first).then(|| first.map(|number| number.to_string()).join("."))
    }
}

/// Which update of Debian's package `base` this is; the first one has no number.
fn update(package: &str, base: &str) -> Option<u32> {
    match package.strip_prefix(base) {
        Some(number) => number.parse().ok(),
        None => base.strip_prefix(package)?.starts_with('+').then_some(0),
    }
}

/// The version of a package of nginx's own, as in `1.30.5-1~bookworm`.
fn nginx_own(package: &str) -> Option<[u32; 3]> {
    let (version, revision) = package.split_once('-')?;
    let (number, suite) = revision.split_once('~')?;
    let is_plain = |text: &str, of: fn(char) -> bool| !text.is_empty() && text.chars().all(of);
    if !is_plain(number, |c| c.is_ascii_digit()) || !is_plain(suite, |c| c.is_ascii_lowercase()) {
        return None;
    }
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_the_hole_are_told_with_the_one_that_closes_it() {
        for (package, closed) in [
            ("1.22.1-9+deb12u10", Some("1.22.1-9+deb12u11")),
            ("1.22.1-9+deb12u11", None),
            ("1.22.1-9", Some("1.22.1-9+deb12u11")),
            ("1.26.3-3+deb13u9", Some("1.26.3-3+deb13u11")),
            ("1.26.3-3+deb13u12", None),
            ("1.28.0-1~bookworm", Some("1.30.7")),
            ("1.30.6-1~trixie", Some("1.30.7")),
            ("1.30.7-1~trixie", None),
            ("1.31.8-1~noble", Some("1.31.9")),
            ("1.31.9-1~noble", None),
            ("1.33.0-1~noble", None),
            ("1.24.0-2ubuntu7.1", None),
            ("1.22.1-9+deb12u2.root.io.0", None),
            ("1.26.3-3~bpo12+1", None),
            ("", None),
        ] {
            let told = TLS.told(package);
            assert_eq!(told.is_some(), closed.is_some(), "{package}: {told:?}");
            let (told, closed) = (told.unwrap_or_default(), closed.unwrap_or_default());
            assert!(told.contains(closed), "{package}: {told}");
        }
    }
}
