//! What nginx says of a configuration.

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::host::command::{Failed, Output};
use crate::model::{Hinted, Site};

/// Where nginx's packages have its configuration, and how deep folders are looked into there.
const CONFIGURATION: &str = "/etc/nginx";
const DEPTH: usize = 2;

/// The warnings among what nginx said.
pub(super) fn warnings(said: &Output) -> Vec<String> {
    let warnings = said.stderr.lines().filter(|line| line.contains("[warn]"));
    warnings.map(str::to_owned).collect()
}

/// Of a configuration that nginx does not accept; `hint` is what can be done about it.
pub(super) fn refused(failed: &Failed, hint: String) -> eyre::Report {
    let lines = failed.lines();
    let reason = lines.iter().find(|line| line.contains("[emerg]")).or(lines.last());
    let reason = reason.map_or(failed.how.as_str(), |line| message(line));
    let place = unplaced(reason).and_then(|path| named_in(Utf8Path::new(CONFIGURATION), path, DEPTH));
    let place = place.map(|file| format!("; {file} names it")).unwrap_or_default();
    let report = Hinted::new(format!("nginx refuses its configuration: {reason}{place}"), hint);
    report.with_details(lines).into()
}

/// The path of a file that nginx cannot use, where it does not say who names it: certificates are read after all files of the
/// configuration.
fn unplaced(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("certificate")?;
    let (_, rest) = rest.split_once('"')?;
    let (path, rest) = rest.split_once('"')?;
    (path.starts_with('/') && !rest.contains(" in /")).then_some(path)
}

/// The first file below `folder`, by name, that has `path` in its text.
fn named_in(folder: &Utf8Path, path: &str, depth: usize) -> Option<Utf8PathBuf> {
    let mut names = files::names_in(folder).ok()?;
    names.sort();
    names.iter().map(|name| folder.join(name)).find_map(|file| {
        if file.is_dir() {
            return depth.checked_sub(1).and_then(|depth| named_in(&file, path, depth));
        }
        // Sites are links to where they are kept.
        let text = fs_err::read_to_string(&file).ok().filter(|text| text.contains(path));
        text.map(|_| file)
    })
}

/// What a line of nginx says, without what stands before: `nginx: [emerg] ...` or `DATE TIME [emerg] PID#TID: ...`.
pub(super) fn message(line: &str) -> &str {
    let said = line.split_once("] ").map_or(line, |(_, said)| said);
    match said.split_once(": ") {
        Some((from, rest)) if from.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#') => rest,
        _ => said,
    }
}

/// Errors where another site has a name of `site` on the same address: nginx only warns, and then ignores one of them.
pub(super) fn no_conflict(site: Option<&Site>, warnings: &[String]) -> eyre::Result<()> {
    let Some(site) = site else { return Ok(()) };
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
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Listen, Listening, Protocol, ServerName};

    /// The site of `example.org` on port 80.
    pub(in crate::proxy::nginx) fn site() -> Site {
        Site {
            server_names: vec![ServerName::parse("example.org").unwrap()],
            listen: vec![Listening::plain(Listen::parse("80").unwrap())],
            default_server: false,
            certificate: None,
            trusted_proxies: Vec::new(),
            protocol: Protocol::Http,
            buffering: true,
            locations: Vec::new(),
            shared_paths: Vec::new(),
            error_page: None,
            empty_page: None,
            acme_root: None,
            max_body_size: 0,
            max_head_size: 0,
            read_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            include: "/etc/nginx/shop.d".into(),
        }
    }

    #[test]
    fn name_that_is_taken_is_an_error() {
        let warning = "nginx: [warn] conflicting server name \"example.org\" on 0.0.0.0:80, ignored".to_owned();
        let error = no_conflict(Some(&site()), std::slice::from_ref(&warning)).unwrap_err();
        assert!(format!("{error:#}").contains("on 0.0.0.0:80"), "{error:#}");
        let other = Site {
            server_names: vec![ServerName::parse("shop.example.org").unwrap()],
            ..site()
        };
        assert!(no_conflict(Some(&other), &[warning]).is_ok());
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
        let report = refused(&failed, "try again".to_owned());
        assert_eq!(
            report.to_string(),
            "nginx refuses its configuration: unknown directive \"x\" in /etc/nginx/sites-enabled/shop.conf:3"
        );
        assert_eq!(Hinted::find(&report).unwrap().details().len(), 3);
    }

    #[test]
    fn certificates_are_told_with_the_site_that_names_them() {
        let gone = "cannot load certificate \"/etc/ssl/blog.pem\": BIO_new_file() failed (SSL: error:80000002)";
        assert_eq!(unplaced(gone), Some("/etc/ssl/blog.pem"));
        assert_eq!(unplaced("cannot load certificate key \"/k.pem\": no"), Some("/k.pem"));
        assert_eq!(unplaced("unknown directive \"x\" in /etc/nginx/nginx.conf:3"), None);
        let root = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(root.path()).unwrap();
        fs_err::create_dir_all(folder.join("sites/blog")).unwrap();
        fs_err::write(folder.join("nginx.conf"), "include sites/*;\n").unwrap();
        let site = folder.join("sites/blog.conf");
        fs_err::write(&site, "ssl_certificate /etc/ssl/blog.pem;\n").unwrap();
        assert_eq!(named_in(folder, "/etc/ssl/blog.pem", DEPTH), Some(site));
        assert_eq!(named_in(folder, "/etc/ssl/blog.pem", 0), None);
        assert_eq!(named_in(folder, "/etc/ssl/wiki.pem", DEPTH), None);
    }
}
