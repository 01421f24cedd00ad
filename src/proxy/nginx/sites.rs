//! Which folder nginx includes sites from. A folder that is there may be included by nothing: somebody made
//! `sites-enabled` beside nginx's own packages, or wrote an `nginx.conf` of their own.

use camino::{Utf8Path, Utf8PathBuf};

use super::{dump, is_nginx, shown};
use crate::host::layout::Layout;
use crate::model::{Hinted, NginxSettings};

/// The settings with the folder that sites go to, on a host without any of bgctl's: the default one, or the other one where only
/// that is included. Errors where nginx certainly includes neither, or not the one that is set. Where nginx cannot tell, as without
/// root, nothing is changed.
pub async fn choose(settings: NginxSettings, layout: &Layout) -> eyre::Result<NginxSettings> {
    if layout.shared_site(&settings).exists() {
        return Ok(settings);
    }
    let Some(includes) = includes(&settings.test).await else {
        return Ok(settings);
    };
    let folder = layout.site_dir(&settings);
    if settings.sites.is_none()
        && let Some(other) = other(&includes, &folder)
    {
        let sites = Some(other);
        return Ok(NginxSettings { sites, ..settings });
    }
    // In a container the folder may have another name.
    if may_read(&includes, &folder) || !is_nginx(&settings.test) {
        return Ok(settings);
    }
    Err(not_included(&includes, &folder))
}

/// The one of the packages' folders that is included, where `folder` is not.
fn other(includes: &[Utf8PathBuf], folder: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut others = Layout::SITE_DIRS.into_iter().filter(|dir| folder != *dir);
    let is_included = |dir: &&str| includes.iter().any(|pattern| reads(pattern, Utf8Path::new(dir)));
    others
        .find(is_included)
        .filter(|_| !may_read(includes, folder))
        .map(Utf8PathBuf::from)
}

/// Whether nginx reads sites in `folder`, as far as can be told: a folder with a wildcard may be any.
fn may_read(includes: &[Utf8PathBuf], folder: &Utf8Path) -> bool {
    let is_any = |pattern: &Utf8PathBuf| {
        pattern
            .parent()
            .is_some_and(|parent| parent.as_str().contains(['*', '?', '[']))
    };
    includes.iter().any(|pattern| is_any(pattern) || reads(pattern, folder))
}

/// Whether a pattern of `include` takes in what ends with `.conf` in `folder`, also by a link to it.
fn reads(pattern: &Utf8Path, folder: &Utf8Path) -> bool {
    let (Some(parent), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return false;
    };
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    matches!(name, "*" | "*.conf" | "*.*") && (parent == folder || real(parent) == real(folder))
}

/// What nginx's configuration includes, as absolute patterns; none where it cannot be asked.
async fn includes(test: &[String]) -> Option<Vec<Utf8PathBuf>> {
    match shown(test).await? {
        Ok(dump) => Some(dump::includes(&dump)),
        Err(error) => {
            tracing::debug!("nginx does not tell what it includes: {error}");
            None
        }
    }
}

fn not_included(includes: &[Utf8PathBuf], folder: &Utf8Path) -> eyre::Report {
    let sites: Vec<_> = includes
        .iter()
        .filter(|pattern| {
            pattern
                .file_name()
                .is_some_and(|name| name.ends_with("*.conf") || name == "*")
        })
        .filter_map(|pattern| pattern.parent())
        .map(Utf8Path::as_str)
        .collect();
    let which = if sites.is_empty() {
        "it includes no folder: add `include /etc/nginx/conf.d/*.conf;` to the http block of nginx.conf".to_owned()
    } else {
        format!(
            "set [nginx] sites in bgctl.toml to a folder of its http block; it includes {}",
            sites.join(", ")
        )
    };
    Hinted::new(
        format!("cannot put a site into {folder}: nginx does not include it"),
        which,
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "# configuration file /etc/nginx/nginx.conf:
\tinclude /etc/nginx/mime.types;
\tinclude /etc/nginx/conf.d/*.conf;
\tinclude \"/etc/nginx/sites-enabled/*\";
include modules-enabled/*.conf;
# include /etc/nginx/vhosts/*.conf;
http { include sites/*/*.conf; } # includes
";

    #[test]
    fn includes_are_read_as_nginx_prints_them() {
        let includes = dump::includes(DEBIAN);
        let expected = [
            "/etc/nginx/mime.types",
            "/etc/nginx/conf.d/*.conf",
            "/etc/nginx/sites-enabled/*",
            "/etc/nginx/modules-enabled/*.conf",
            "/etc/nginx/sites/*/*.conf",
        ];
        assert_eq!(includes, expected);
        assert!(may_read(&includes[..3], "/etc/nginx/conf.d".into()));
        assert!(!may_read(&includes[..3], "/etc/nginx/vhosts".into()));
        assert!(may_read(&includes, "/etc/nginx/vhosts".into()), "nobody knows");
        assert_eq!(dump::includes("include x/*.conf;"), ["/etc/nginx/x/*.conf"]);
    }

    #[test]
    fn other_folder_is_taken_where_only_that_is_included() {
        let [debian, plain] = Layout::SITE_DIRS.map(Utf8Path::new);
        let only = |folder: &Utf8Path| vec![folder.join("*.conf")];
        assert_eq!(other(&only(plain), debian).as_deref(), Some(plain));
        assert_eq!(other(&only(debian), debian), None);
        assert_eq!(other(&only("/srv/sites".into()), debian), None);
        let error = not_included(&only("/srv/sites".into()), debian);
        let hint = Hinted::find(&error).unwrap().hint();
        assert!(hint.ends_with("it includes /srv/sites"), "{hint}");
    }
}
