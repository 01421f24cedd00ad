//! Owners and modes are those of the table in bgctl(7), whatever the umask.

use crate::app::App;
use crate::host::Host;

/// What the table of files says of files with a mode: each path, with APP and PORT in it, and its mode. Those that are there
/// with etcd only, or those of a program in the local store.
pub fn documented(with_etcd: bool) -> Vec<(String, String)> {
    let page = std::fs::read_to_string(crate::lock::repository().join("docs/man/bgctl.7.md")).unwrap();
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| path |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows = rows
        .filter(|row| row.contains("| With etcd: ") == with_etcd && !row.contains("| With images: "))
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split(" |").map(str::trim).collect();
            let [path, mode] = [cells[0], cells[1]].map(|cell| cell.trim_matches('`'));
            (
                path.trim_end_matches('/').to_owned(),
                mode.trim_start_matches('0').to_owned(),
            )
        });
    // Of a repair there is nothing to see on a host that needs none, and requests are held for a moment only.
    rows.filter(|(path, mode)| !mode.is_empty() && path != "/etc/bgctl/saved" && !path.ends_with("/hold.sock"))
        .collect()
}

/// A path as the table has it.
fn generic(path: &str, app: &str) -> String {
    let id = if path.contains("/switches/") { "NUMBER" } else { "PORT" };
    let mut generic = String::new();
    for word in path.split_inclusive(['/', '.']) {
        let name = word.trim_end_matches(['/', '.']);
        let is_id = name.len() == 4 && name.bytes().all(|byte| byte.is_ascii_digit());
        generic += &match name {
            "p1" | "p2" | "p3" => word.replace(name, "RELEASE"),
            "blue" | "green" | "none" | "held" => word.replace(name, "ROUTE"),
            "worker@green-1" => word.replace(name, "NAME@COLOR-NUMBER"),
            _ if is_id => word.replace(name, id),
            _ => word.to_owned(),
        };
    }
    generic
        .replace(&format!("{app}_worker"), "APP_NAME")
        .replace(app, "APP")
}

/// Every file and folder of an app; links have no mode.
fn found(host: &Host, app: &App<'_>) -> Vec<(String, String)> {
    let name = app.name();
    let list = host.succeed(&format!(
        "find /var/lib/bgctl /var/lib/bgctl-routes -maxdepth 0 -printf '%p %m %U:%G\\n'; \
         find /var/lib/bgctl/{name} /var/lib/bgctl-routes/{name} /etc/bgctl/apps/{name}.toml \
         /etc/systemd/system/{name}@.service /etc/systemd/system/{name}_*@.service \
         /etc/systemd/system/bgctl-switch@.service \
         /etc/nginx/sites-enabled/00-bgctl.conf /etc/nginx/sites-enabled/{name}.conf ! -type l -printf '%p %m %U:%G\\n'"
    ));
    let lines = list.lines().map(|line| {
        let (path, rest) = line.split_once(' ').unwrap();
        let (mode, owner) = rest.split_once(' ').unwrap();
        assert_eq!(owner, "0:0", "{line}");
        (generic(path, name), mode.to_owned())
    });
    lines.collect()
}

/// The app and its worker.
const PAIR: &str = "#!/bin/sh\ntest \"$1\" = work && exec sleep infinity\nexec /opt/demo/bdd-assistant\n";

#[test]
fn no_umask_changes_who_may_read_what() {
    let host = Host::with_programs();
    let documented = documented(false);
    for (name, port, umask) in [("tight", 9192, "0777"), ("loose", 9194, "0000")] {
        host.copy_in("/opt/demo/pair", PAIR);
        host.succeed("chmod 755 /opt/demo/pair");
        let worker = [("name", "worker".into()), ("args", vec!["work"].into())];
        let worker: toml::Table = worker
            .map(|(key, value): (&str, toml::Value)| (key.to_owned(), value))
            .into_iter()
            .collect();
        let app = App::program(&host, name, port)
            .set("run.exec", "/opt/demo/pair")
            .set("companion", vec![toml::Value::Table(worker)]);
        app.write_manifest();
        let worker = format!("/etc/systemd/system/bgctl-switch@{name}.service.d/umask.conf");
        host.copy_in(&worker, &format!("[Service]\nUMask={umask}\n"));
        let stir = host.stir();
        host.succeed(&format!("umask {umask}; bgctl install {}", app.manifest()));
        drop(stir);
        for release in ["p1", "p2"] {
            host.succeed(&format!("umask {umask}; bgctl switch {name} --release {release}"));
        }
        app.is_served_by("p2", "green");
        host.succeed(&format!("umask {umask}; bgctl stage {name} --release p3"));
        let mut found = found(&host, &app);
        found.sort();
        found.dedup();
        for each in &found {
            assert!(documented.contains(each), "umask {umask}: {each:?} is not documented");
        }
        for each in &documented {
            assert!(found.contains(each), "umask {umask}: {each:?} is not so: {found:#?}");
        }
        host.succeed(&format!(
            "bgctl uninstall {name} --yes && rm -r {}",
            worker.rsplit_once('/').unwrap().0
        ));
    }
}
