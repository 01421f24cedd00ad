//! What an app is asked with: the host of its users, and whatever else it needs to answer.

use super::program;
use crate::host::Host;

#[test]
fn probe_looks_like_a_user() {
    let host = Host::with_programs();
    for (name, port, names, accepted) in [
        ("named", 9800, vec!["named.test"], "named.test"),
        ("nameless", 9802, vec!["_", "nameless.test"], "nameless.test"),
        ("dotted", 9804, vec![".dotted.test"], "dotted.test"),
        ("starred", 9806, vec!["*.starred.test"], "starred.test"),
    ] {
        let app = program(&host, name, port)
            .set("nginx.server_name", names)
            .set("run.env.HOSTS", accepted)
            .install();
        app.switch("p1");
        app.switch("p2");
        app.bgctl("rollback", "").expect(0);
    }
}

#[test]
fn probe_may_be_told_what_to_ask_with() {
    let host = Host::with_programs();
    let app = program(&host, "told", 9808)
        .set("run.env.HOSTS", "inner.test")
        .set("run.env.SCHEME", "https")
        .set("health.host", "inner.test:8443")
        .set("health.headers.X-Forwarded-Proto", "https")
        .install();
    app.switch("p1");
    app.switch("p2");
    assert_eq!(app.cursor(), "green p2");
}

#[test]
fn app_that_refuses_a_probe_is_told_with_what_it_was_asked() {
    let host = Host::with_programs();
    let app = program(&host, "picky", 9810)
        .set("health.deadline", "5s")
        .set("run.env.HOSTS", "other.test")
        .install();
    let failed = app.bgctl("switch", "--release p1").expect(1);
    let told = "400: Invalid HTTP_HOST header (Host: picky.test)";
    assert!(failed.error().contains(told), "{failed:?}");
    let app = app
        .set("run.env.SCHEME", "https")
        .set("run.env.HOSTS", "picky.test")
        .install();
    let failed = app.bgctl("switch", "--release p2").expect(1);
    assert!(
        failed.error().contains("301: to https://picky.test/health"),
        "{failed:?}"
    );
    let refused = app
        .without("health.path")
        .set("health.host", "other.test")
        .try_install()
        .expect(2);
    assert_eq!(
        refused.error(),
        "cannot use host without path: only an HTTP check has a request and a status"
    );
}
