//! Variables of several lines.

use super::{container, program};
use crate::app::App;
use crate::host::Host;

const PEM: &str = "-----BEGIN KEY-----\nMIIE+/=\n \"a\" 'b' $c \\ {x}\n-----END KEY-----\n";
const JSON: &str = "{\n\t\"a\": [1, 2],\n  \"b\": \"c d\"\n}";

fn assert_whole(app: &App<'_>) {
    for (name, value) in [("PEM", PEM), ("JSON", JSON), ("FILE_PEM", PEM), ("FILE_JSON", JSON)] {
        assert_eq!(app.get(&format!("/env/{name}")).body, value, "{name}");
    }
}

/// With values of several lines in the manifest and in a file.
fn with_lines<'h>(host: &Host, app: App<'h>) -> App<'h> {
    let quoted = PEM.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    let file = format!("/root/{}.env", app.name());
    host.copy_in(&file, &format!("FILE_PEM=\"{quoted}\"\nFILE_JSON='{JSON}'\nLAST=1\n"));
    app.set("run.env_file", file)
        .set("run.env.PEM", PEM)
        .set("run.env.JSON", JSON)
}

#[test]
fn program_gets_values_of_several_lines() {
    let host = Host::with_programs();
    let app = with_lines(&host, program(&host, "lines", 9822)).install();
    for release in ["p1", "p2"] {
        app.switch(release);
        assert_whole(&app);
    }
    app.bgctl("rollback", "").expect(0);
    assert_whole(&app);
}

#[test]
fn container_gets_values_of_several_lines_and_its_unit_does_not_show_them() {
    let host = Host::with_images();
    let app = with_lines(&host, container(&host, "letters", 9824)).install();
    for release in ["c1", "c2"] {
        app.bgctl("switch", &format!("--release {release}")).expect(0);
        assert_whole(&app);
        assert_eq!(app.get("/env/LAST").body, "1");
    }
    let refused = app.set("run.env.DOCKER_CONFIG", "a\nb").try_install().expect(2);
    assert!(
        refused
            .error()
            .starts_with("cannot set DOCKER_CONFIG in the environment"),
        "{refused:?}"
    );
    let lines = host.succeed("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c 'MII[E]+' || true");
    assert_eq!(lines, "0", "on no command line");
}
