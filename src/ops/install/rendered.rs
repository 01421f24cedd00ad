//! The files of an app: as they are, and as they will be.

use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;

use super::companions;
use crate::files;
use crate::host::layout::Layout;
use crate::model::{App, AppName, Color, Route, Settings, sealed};
use crate::ops::Error;
use crate::ops::installed::MANIFEST_VERSION;
use crate::proxy::nginx::{hold, old, route};
use crate::render::{self, Keys, SiteHost, seal};

/// A file to be written: what is there, and what will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: Utf8PathBuf,
    /// What is there now.
    pub old: Option<String>,
    /// What will be there.
    pub new: String,
    /// Its permissions.
    pub mode: u32,
}

impl Change {
    pub(super) fn of(path: Utf8PathBuf, new: String, mode: u32) -> eyre::Result<Self> {
        // One that is damaged may be no text any more.
        let old = files::read_bytes(&path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self { path, old, new, mode })
    }

    /// What writing it takes away and adds, as a unified diff without a head.
    pub fn diff(&self) -> String {
        let old = self.old.as_deref().unwrap_or_default();
        TextDiff::from_lines(old, &self.new).unified_diff().to_string()
    }

    /// Whether anything differs.
    pub fn is_needed(&self) -> bool {
        self.old.as_ref() != Some(&self.new)
    }
}

/// All files of an app outside of its state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// What the nginx sites of all apps share.
    pub shared: Change,
    /// The nginx site.
    pub site: Change,
    /// The site that takes the place of one of bgctl 0.1.0 for as long as workers of nginx use that; none where there is none.
    pub transition: Option<String>,
    /// The template unit, the unit that runs switches, and the template units of companions.
    pub units: Vec<Change>,
    /// The manifest, for people to read and edit.
    pub manifest: Change,
    /// The manifest, for bgctl: what was installed.
    pub installed: Change,
}

impl Files {
    /// Those of `app` as they are and will be. Fails where one cannot be read or rendered.
    pub fn of(
        app: &App,
        manifest: &str,
        settings: &Settings,
        layout: &Layout,
        program: &Utf8Path,
    ) -> eyre::Result<Self> {
        let name = &app.name;
        // As the host's own nginx and systemd see it, also where the files are written below another root.
        let host = Layout::default();
        let (routes, socket) = (host.route_dir(name), old::socket(&host, name));
        let hold = hold::socket(&routes);
        let site_host = SiteHost {
            routes: &routes,
            control_port: settings.nginx.control_port,
            hold: &hold,
            old_socket: None,
        };
        let site = Change::of(
            layout.site(name, &settings.nginx),
            render::site(app, &site_host)?,
            0o644,
        )?;
        let is_old = site.old.as_deref().is_some_and(old::is_site);
        let transition = is_old.then(|| {
            let old_socket = Some(socket.as_path());
            render::site(
                app,
                &SiteHost {
                    old_socket,
                    ..site_host
                },
            )
        });
        let keys = Keys {
            blue: route::key(Color::Blue.into()),
            green: route::key(Color::Green.into()),
            none: route::key(Route::None),
        };
        let shared = render::shared_site(settings.nginx.control_port, keys)?;
        let unit = render::unit(app, program, &settings.docker)?;
        let mut units = vec![
            Change::of(layout.template_unit(name), unit, 0o644)?,
            Change::of(layout.switch_unit(), render::switch_unit(program)?, 0o644)?,
        ];
        units.extend(companions::units(app, settings, layout, program)?);
        Ok(Self {
            shared: Change::of(layout.shared_site(&settings.nginx), shared, 0o644)?,
            site,
            transition: transition.transpose()?,
            units,
            manifest: Change::of(layout.manifest(name), manifest.to_owned(), 0o600)?,
            installed: Change::of(
                layout.installed_manifest(name),
                sealed::text_with_sum(manifest, MANIFEST_VERSION),
                0o600,
            )?,
        })
    }

    /// Those of an app as it was installed with `manifest`; the one that people edit stays as it is. Fails as [`Files::of`] does.
    pub fn installed(app: &App, manifest: &str, settings: &Settings, layout: &Layout) -> eyre::Result<Self> {
        let mut files = Self::of(app, manifest, settings, layout, &super::program()?)?;
        if let Some(written) = &files.manifest.old {
            files.manifest.new.clone_from(written);
        }
        Ok(files)
    }

    /// Fails where a file that is there was not written by bgctl for `app`, or was changed since.
    pub fn refuse_foreign(&self, app: &AppName) -> Result<(), Error> {
        self.rendered().try_for_each(|change| match not_ours(app, change) {
            None => Ok(()),
            Some(not_ours) => Err(not_ours.refused(app, "write", change)),
        })
    }

    /// Fails where the site or a template unit is there and not as bgctl wrote it for `app`: it could not be removed, and
    /// would be left without what it needs. `shared` is the unit that runs switches.
    pub fn refuse_kept(&self, app: &AppName, shared: &Utf8Path) -> Result<(), Error> {
        let own = self
            .rendered()
            .filter(|change| *change != &self.shared && change.path != shared);
        for change in own {
            if let Some(not_ours) = not_ours(app, change) {
                return Err(not_ours.refused(app, "remove", change));
            }
        }
        Ok(())
    }

    /// Those that were changed by hand, or that bgctl did not write for `app`.
    pub fn edited<'f>(&'f self, app: &'f AppName) -> impl Iterator<Item = &'f Change> {
        self.rendered()
            .filter(|change| matches!(not_ours(app, change), Some(NotOurs::Edited | NotOurs::Foreign)))
    }

    /// Those that bgctl rendered.
    pub fn rendered(&self) -> impl Iterator<Item = &Change> {
        [&self.shared, &self.site].into_iter().chain(&self.units)
    }

    /// All of them, in the order in which a new host gets them.
    pub fn all(&self) -> impl Iterator<Item = &Change> {
        self.rendered().chain([&self.installed, &self.manifest])
    }
}

/// Why a file is not bgctl's to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It was changed since bgctl wrote it.
    Edited,
    /// It is another app's.
    Of(AppName),
    /// bgctl did not write it.
    Foreign,
}

impl NotOurs {
    fn refused(self, app: &AppName, verb: &str, change: &Change) -> Error {
        let path = &change.path;
        let (why, hint) = match self {
            Self::Edited => {
                let keep = if path.extension() == Some("service") {
                    "to keep it, move your changes to a drop-in (systemctl edit)"
                } else {
                    "to keep it, move your lines to the include folder that the file names, and what certbot wrote to [nginx] \
                     certificate, certificate_key and listen"
                };
                let why = "it was changed by hand since bgctl wrote it";
                let hint = format!("bgctl repair {app} --dry-run shows how; {keep}; then remove {path}, and try again");
                (why.to_owned(), hint)
            }
            Self::Of(owner) => (
                format!("it belongs to the app {owner}"),
                "give this app another name".to_owned(),
            ),
            Self::Foreign => (
                "it was not written by bgctl".to_owned(),
                format!("move {path} away, or give this app another name"),
            ),
        };
        Error::refused(format!("cannot {verb} {path}: {why}"), hint)
    }
}

/// Why what is there now is not bgctl's to change for `app`; none where it is.
pub fn not_ours(app: &AppName, change: &Change) -> Option<NotOurs> {
    let old = change.old.as_ref()?;
    if seal::is_intact_support(old) {
        return None;
    }
    if seal::is_support(old) {
        return Some(NotOurs::Edited);
    }
    match seal::check(old) {
        seal::Seal::Intact(owner) if owner == *app => None,
        seal::Seal::Intact(owner) => Some(NotOurs::Of(owner)),
        seal::Seal::Edited(_) => Some(NotOurs::Edited),
        seal::Seal::Foreign => Some(NotOurs::Foreign),
    }
}

/// Whether a file that is there is as bgctl wrote it for `app`.
pub(super) fn is_ours(app: &AppName, change: &Change) -> bool {
    not_ours(app, change).is_none()
}
