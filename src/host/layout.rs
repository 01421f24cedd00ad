//! Where everything is on a host, below a root.

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::{AppName, Color, CompanionName, NginxSettings, Port, ReleaseId, Replica, SwitchId, UnitName};

/// The paths of a host whose root is at some folder: `/`, or another one in tests and image builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: Utf8PathBuf,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new("/")
    }
}

/// Its name makes nginx read it before the sites of the apps.
const SHARED_SITE: &str = "00-bgctl.conf";

/// What the host has once.
impl Layout {
    /// The folders that nginx's packages include sites from: Debian's, and nginx's own.
    pub const SITE_DIRS: [&str; 2] = ["/etc/nginx/sites-enabled", "/etc/nginx/conf.d"];

    /// The layout below `root`.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Where `path` of the host is: below the root, whether it starts with `/` or not.
    pub fn below(&self, path: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The host's settings, `/etc/bgctl/bgctl.toml`.
    pub fn settings(&self) -> Utf8PathBuf {
        self.below("etc/bgctl/bgctl.toml")
    }

    /// The folder of the installed manifests.
    pub fn manifests(&self) -> Utf8PathBuf {
        self.below("etc/bgctl/apps")
    }

    /// The folder of what a repair took out of the way: what a person wrote is never lost. Mode 0700.
    pub fn saved(&self) -> Utf8PathBuf {
        self.below("etc/bgctl/saved")
    }

    /// The folder of the host's own units, `/etc/systemd/system` (systemd.unit(5), "Unit File Load Path").
    pub fn unit_dir(&self) -> Utf8PathBuf {
        self.below("etc/systemd/system")
    }

    /// The drop-in by which [`Systemd::describe`](super::systemd::Systemd::describe) keeps a unit's description until the
    /// next boot; systemd writes it.
    pub fn description(&self, unit: &UnitName) -> Utf8PathBuf {
        self.below("run/systemd/system.control")
            .join(format!("{unit}.d/50-Description.conf"))
    }

    /// The folder that nginx includes sites from: the one of `settings`, else the one where bgctl's sites are, else
    /// `/etc/nginx/sites-enabled` where that exists (Debian), else `/etc/nginx/conf.d` (nginx's own packages). The one path that
    /// depends on what is there.
    pub fn site_dir(&self, settings: &NginxSettings) -> Utf8PathBuf {
        if let Some(dir) = &settings.sites {
            return self.below(dir);
        }
        let [debian, plain] = Self::SITE_DIRS.map(|dir| self.below(dir));
        let has_sites = |dir: &Utf8PathBuf| dir.join(SHARED_SITE).exists();
        if has_sites(&debian) || !has_sites(&plain) && debian.is_dir() {
            return debian;
        }
        plain
    }

    /// The folder of all state, `/var/lib/bgctl`.
    pub fn state(&self) -> Utf8PathBuf {
        self.below("var/lib/bgctl")
    }

    /// The folder of all routes, `/var/lib/bgctl-routes`: apart from the state, so that an nginx in a container gets nothing
    /// else.
    pub fn routes(&self) -> Utf8PathBuf {
        self.below("var/lib/bgctl-routes")
    }

    /// What the sites of all apps share; see [`Layout::site_dir`].
    pub fn shared_site(&self, settings: &NginxSettings) -> Utf8PathBuf {
        self.site_dir(settings).join(SHARED_SITE)
    }

    /// The unit that runs switches.
    pub fn switch_unit(&self) -> Utf8PathBuf {
        self.unit_dir().join("bgctl-switch@.service")
    }
}

/// What each app has.
impl Layout {
    /// Its manifest, for people: installing it makes it count. Mode 0600.
    pub fn manifest(&self, app: &AppName) -> Utf8PathBuf {
        self.manifests().join(format!("{app}.toml"))
    }

    /// The manifest that counts: a copy of what was installed. Mode 0600.
    pub fn installed_manifest(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("manifest.toml")
    }

    /// Its rendered template unit.
    pub fn template_unit(&self, app: &AppName) -> Utf8PathBuf {
        self.unit_dir().join(UnitName::template(app).as_str())
    }

    /// The rendered template unit of one of its companions.
    pub fn companion_template(&self, app: &AppName, companion: &CompanionName) -> Utf8PathBuf {
        self.unit_dir()
            .join(UnitName::companion_template(app, companion).as_str())
    }

    /// Its rendered nginx site; see [`Layout::site_dir`].
    pub fn site(&self, app: &AppName, settings: &NginxSettings) -> Utf8PathBuf {
        self.site_dir(settings).join(format!("{app}.conf"))
    }

    /// Its folder of routes.
    pub fn route_dir(&self, app: &AppName) -> Utf8PathBuf {
        self.routes().join(app.as_str())
    }

    /// Its folder of state.
    pub fn app(&self, app: &AppName) -> Utf8PathBuf {
        self.state().join(app.as_str())
    }

    /// The record of what is pinned to `port`, see [`crate::state::pins`]. Mode 0600.
    pub fn pin(&self, app: &AppName, port: Port) -> Utf8PathBuf {
        self.app(app).join(format!("{port}.json"))
    }

    /// The environment file of the unit on `port`. Mode 0600.
    pub fn env_file(&self, app: &AppName, port: Port) -> Utf8PathBuf {
        self.app(app).join(format!("{port}.env"))
    }

    /// The folder of its companions' environment files. Mode 0700.
    pub fn companions_dir(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("companions")
    }

    /// The environment file of a companion's replica in a color, see [`crate::state::companions`]. Mode 0600.
    pub fn companion_env(&self, app: &AppName, color: Color, replica: &Replica) -> Utf8PathBuf {
        self.companions_dir(app).join(format!("{}.env", replica.named(color)))
    }

    /// The folder of release records. Mode 0700.
    pub fn releases_dir(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("releases")
    }

    /// The record of a release. Mode 0600.
    pub fn release(&self, app: &AppName, release: &ReleaseId) -> Utf8PathBuf {
        self.releases_dir(app).join(format!("{release}.json"))
    }

    /// The variables of a release's containers. Mode 0600.
    pub fn container_env(&self, app: &AppName, release: &ReleaseId) -> Utf8PathBuf {
        self.releases_dir(app).join(format!("{release}.container-env"))
    }

    /// The folder of the switches' journals. Mode 0700.
    pub fn switches_dir(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("switches")
    }

    /// The journal of a switch. Mode 0600.
    pub fn switch(&self, app: &AppName, switch: &SwitchId) -> Utf8PathBuf {
        self.switches_dir(app).join(format!("{switch}.jsonl"))
    }

    /// The link to the journal of the switch that is open.
    pub fn open_link(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("open")
    }

    /// The file that is locked while a plan is made or the app is installed.
    pub fn lock(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("lock")
    }

    /// The release that is staged, while one is.
    pub fn staged(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("staged.json")
    }

    /// What this host last knew of the cursor in etcd.
    pub fn known_cursor(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("known.json")
    }

    /// Promotes that etcd does not know of yet.
    pub fn deferred(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("deferred.json")
    }

    /// The local store's record.
    pub fn cursor(&self, app: &AppName) -> Utf8PathBuf {
        self.app(app).join("cursor.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nginx(sites: Option<&str>) -> NginxSettings {
        NginxSettings {
            unit: UnitName::service("nginx.service").unwrap(),
            sites: sites.map(Utf8PathBuf::from),
            test: vec!["nginx".into(), "-t".into()],
            control_port: Port::new(7390).unwrap(),
        }
    }

    #[test]
    fn every_path_is_below_the_root() {
        let app = AppName::parse("shop").unwrap();
        let port = Port::new(9001).unwrap();
        let host = Layout::default();
        let test = Layout::new("/tmp/root");
        assert_eq!(host.env_file(&app, port), "/var/lib/bgctl/shop/9001.env");
        assert_eq!(test.env_file(&app, port), "/tmp/root/var/lib/bgctl/shop/9001.env");
        assert_eq!(host.template_unit(&app), "/etc/systemd/system/shop@.service");
        assert_eq!(host.route_dir(&app), "/var/lib/bgctl-routes/shop");
        assert_eq!(
            host.switch(&app, &SwitchId::numbered(7)),
            "/var/lib/bgctl/shop/switches/0007.jsonl"
        );
        assert_eq!(
            test.below("/etc/nginx/shop.d"),
            test.below("etc/nginx/shop.d"),
            "a path of the host means the same with and without its slash"
        );
    }

    #[test]
    fn sites_go_where_nginx_looks() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Utf8PathBuf::try_from(root.path().to_owned()).unwrap());
        let app = AppName::parse("shop").unwrap();
        let name = |sites| {
            layout
                .site(&app, &nginx(sites))
                .strip_prefix(layout.root())
                .unwrap()
                .to_string()
        };

        assert_eq!(name(None), "etc/nginx/conf.d/shop.conf");
        fs_err::create_dir_all(layout.below("etc/nginx/sites-enabled")).unwrap();
        assert_eq!(name(None), "etc/nginx/sites-enabled/shop.conf");
        assert_eq!(name(Some("/srv/nginx")), "srv/nginx/shop.conf");
        fs_err::create_dir_all(layout.below("etc/nginx/conf.d")).unwrap();
        fs_err::write(layout.below("etc/nginx/conf.d/00-bgctl.conf"), "").unwrap();
        assert_eq!(name(None), "etc/nginx/conf.d/shop.conf", "where bgctl's sites are");
    }
}
