//! The tables of files and of keys in etcd, in bgctl(7).

use std::collections::BTreeSet;

use bgctl::host::layout::Layout;
use bgctl::model::{AppName, Color, NginxSettings, Port, ReleaseId, Replica, SwitchId, UnitName};
use bgctl::store::keys::Keys;

const PAGE: &str = "docs/man/bgctl.7.md";

/// Every path of a host with an app named `APP`, a directory with a slash at its end.
fn known() -> BTreeSet<String> {
    let (layout, app) = (Layout::default(), AppName::parse("app").unwrap());
    let nginx = NginxSettings {
        unit: UnitName::service("nginx.service").unwrap(),
        sites: Some("/etc/nginx/sites-enabled".into()),
        test: Vec::new(),
        control_port: Port::new(7390).unwrap(),
    };
    let (release, switch) = (ReleaseId::parse("release").unwrap(), SwitchId::numbered(1));
    let port = Port::new(9001).unwrap();
    let companion = Replica::parse("companion", "1").unwrap();
    let files = [
        layout.settings(),
        layout.manifest(&app),
        layout.template_unit(&app),
        layout.companion_template(&app, &companion.companion),
        layout.companion_env(&app, Color::Green, &companion),
        layout.switch_unit(),
        layout.site(&app, &nginx),
        layout.shared_site(&nginx),
        layout.below("etc/nginx/app.d/*.conf"),
        layout.pin(&app, port),
        layout.env_file(&app, port),
        layout.route_dir(&app).join("to.green").join("green"),
        bgctl::proxy::nginx::hold::socket(&layout.route_dir(&app)),
        layout.installed_manifest(&app),
        layout.release(&app, &release),
        layout.container_env(&app, &release),
        layout.switch(&app, &switch),
        layout.lock(&app),
        layout.cursor(&app),
        layout.staged(&app),
        layout.known_cursor(&app),
        layout.deferred(&app),
    ];
    let directories = [
        layout.saved(),
        layout.state(),
        layout.app(&app),
        layout.routes(),
        layout.route_dir(&app),
        layout.route_dir(&app).join("to.green"),
        layout.companions_dir(&app),
        layout.releases_dir(&app),
        layout.switches_dir(&app),
    ];
    let mut paths: BTreeSet<_> = files.iter().map(ToString::to_string).collect();
    paths.extend(directories.iter().map(|path| format!("{path}/")));
    paths.into_iter().map(|path| generic(&path)).collect()
}

/// A path as the table has it.
fn generic(path: &str) -> String {
    let words = path.split_inclusive(['/', '.', '@']).map(|word| {
        let name = word.trim_end_matches(['/', '.', '@']);
        let placeholder = match name {
            "app" => "APP",
            "app_companion" => "APP_NAME",
            "companion" => "NAME",
            "green-1" => "COLOR-NUMBER",
            "release" => "RELEASE",
            "9001" => "PORT",
            "0001" => "NUMBER",
            "green" => "ROUTE",
            name => name,
        };
        word.replacen(name, placeholder, 1)
    });
    words.collect()
}

#[test]
fn files_on_a_host_are_those_of_the_program() {
    let page = crate::read(PAGE);
    let rows = crate::table(&page, "path");
    let written: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(written, known());
}

#[test]
fn files_without_a_mode_are_not_written_by_the_program() {
    let page = crate::read(PAGE);
    let rows = crate::table(&page, "path");
    let of_others = rows.iter().filter(|row| row[1].is_empty());
    let of_others: Vec<_> = of_others.map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(of_others, ["/etc/bgctl/bgctl.toml", "/etc/nginx/APP.d/*.conf"]);
}

#[test]
fn keys_in_etcd_are_those_of_the_program() {
    let page = crate::read(PAGE);
    let rows = crate::table(&page, "key");
    let written = rows.iter().flat_map(|row| {
        let key = row[0].trim_matches('`').replace("APP", "app");
        ["blue", "green"].map(|color| key.replace("COLOR", color))
    });
    let app = AppName::parse("app").unwrap();
    let mut known: BTreeSet<_> = Keys::below("/").all(&app).collect();
    known.insert("/app/claim".to_owned());
    assert_eq!(written.collect::<BTreeSet<_>>(), known);
}
