//! The table of files on a host.

use std::collections::BTreeSet;

use bgctl::config::manifest;
use bgctl::host::layout::Layout;
use bgctl::model::{AppName, NginxSettings, Port, UnitName};

/// The paths of an app named `app`, and the names of what is in its folder of state (a folder's with `/`).
fn known() -> (BTreeSet<String>, BTreeSet<String>) {
    let (layout, app) = (Layout::default(), AppName::parse("app").unwrap());
    let nginx = NginxSettings {
        unit: UnitName::service("nginx.service").unwrap(),
        sites: Some("/etc/nginx/sites-enabled".into()),
        test: Vec::new(),
        control_port: Port::new(7390).unwrap(),
    };
    let site = manifest::parse("name = \"app\"\n[run]\nexec = \"/app\"\n", "app.toml")
        .unwrap()
        .site;
    let paths = BTreeSet::from([
        layout.settings().to_string(),
        layout.manifest(&app).to_string(),
        layout.template_unit(&app).to_string(),
        layout.site(&app, &nginx).to_string(),
        format!("{}/*.conf", site.include),
        format!("{}/", layout.app(&app)),
        format!("{}/TIME/", layout.saved()),
        layout.switch_unit().to_string(),
        layout.shared_site(&nginx).to_string(),
        format!("{}/", layout.route_dir(&app)),
    ]);

    let port = Port::new(9001).unwrap();
    let name = |path: camino::Utf8PathBuf| path.file_name().unwrap().to_owned();
    let names = BTreeSet::from([
        name(layout.pin(&app, port)).replace("9001", "PORT"),
        name(layout.env_file(&app, port)).replace("9001", "PORT"),
        name(layout.cursor(&app)),
        name(layout.known_cursor(&app)),
        name(layout.deferred(&app)),
        name(layout.installed_manifest(&app)),
        name(layout.releases_dir(&app)) + "/",
        name(layout.switches_dir(&app)) + "/",
    ]);
    (paths, names)
}

#[test]
fn the_files_on_a_host_are_those_of_the_program() {
    let readme = crate::read("README.md");
    let rows = crate::table(&readme, "path");
    let (paths, names) = known();
    let written: BTreeSet<_> = rows
        .iter()
        .map(|row| row[0].trim_matches('`').replace("APP", "app"))
        .collect();
    assert_eq!(written, paths);

    let state = rows.iter().find(|row| row[0].contains("/var/lib/bgctl/APP/")).unwrap();
    let written: BTreeSet<_> = crate::spans(state[1]).into_iter().map(str::to_owned).collect();
    assert_eq!(written, names);
}
