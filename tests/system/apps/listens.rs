//! Where an app listens, and who answers in its place.

use super::{container, program};
use crate::host::Host;

#[test]
fn program_that_listens_elsewhere_is_told_where() {
    let host = Host::with_programs();
    let app = program(&host, "astray", 9826)
        .set("health.deadline", "5s")
        .set("run.env.LISTEN", "127.0.0.1:9828")
        .install();
    let failed = app.bgctl("switch", "--release p1").expect(1);
    let told = "it listens on 127.0.0.1:9828, and not on 127.0.0.1:9826: PORT in its environment";
    assert!(failed.error().contains(told), "{failed:?}");
    let app = app.set("run.env.DELAY", "60").set("health.deadline", "2s").install();
    let failed = app.bgctl("switch", "--release p2").expect(1);
    assert!(failed.error().contains("it listens on no TCP port"), "{failed:?}");
}

#[test]
fn container_that_listens_elsewhere_is_told_where() {
    let host = Host::with_images();
    for check in ["health.path", "health.tcp"] {
        let app = container(&host, "adrift", 9830).set("health.deadline", "5s");
        let app = if check == "health.tcp" {
            app.without("health.path").set("health.tcp", true)
        } else {
            app
        };
        let app = app.set("run.env.LISTEN", "127.0.0.1:8080").install();
        let failed = app.bgctl("switch", "").expect(1);
        let told = "in its container it listens on 127.0.0.1:8080, and not on 0.0.0.0:8080";
        assert!(failed.error().contains(told), "{failed:?}");
        let app = app.set("run.env.LISTEN", "0.0.0.0:3000").install();
        let failed = app.bgctl("switch", "").expect(1);
        let told = "in its container it listens on 0.0.0.0:3000, and not on 0.0.0.0:8080";
        assert!(failed.error().contains(told), "{failed:?}");
        assert!(failed.error().contains("container_port may be another"), "{failed:?}");
    }
}

#[test]
fn open_port_of_dockers_proxy_is_none_of_the_app() {
    let host = Host::with_images();
    let app = container(&host, "proxied", 9832)
        .without("health.path")
        .set("health.deadline", "20s")
        .set("run.env.DELAY", "3")
        .install();
    // As on a busy host: it takes connections, and does nothing with them.
    let stop = host.spawn(
        "until pkill -STOP -f '[d]ocker-proxy .*-host-port 9832 '; do sleep 0.005; done; \
         until test -e /run/proxied; do sleep 0.1; done; pkill -CONT -f '[d]ocker-proxy .*-host-port 9832 '",
    );
    let switched = app.bgctl("switch", "--release c1");
    let listened = host.run("docker logs proxied-9832").stdout;
    host.succeed("touch /run/proxied");
    Host::wait(stop).expect(0);
    switched.expect(0);
    assert!(listened.contains("listens on"), "it was active before it listened");
}

#[test]
fn ports_that_the_kernel_gives_to_clients_are_warned_of() {
    let host = Host::with_programs();
    let app = program(&host, "lent", 49800);
    let installed = app.try_install().expect(0);
    assert!(
        installed
            .stderr
            .contains("net.ipv4.ip_local_reserved_ports=49800,49801`"),
        "{installed:?}"
    );
    app.switch("p1");
    assert!(
        !program(&host, "owned", 9834)
            .try_install()
            .expect(0)
            .stderr
            .contains("ip_local")
    );
}

#[test]
fn probe_that_is_connected_to_itself_found_nobody() {
    let host = Host::with_programs();
    let health = r#"{"check":"tcp","interval":"1ms","timeout":"2s","deadline":"3s","healthy_for":"0s"}"#;
    // A network with no other ports for clients than the one that is asked, and its neighbour.
    let command = format!(
        "unshare --net sh -ec 'ip link set lo up; echo 9836 9837 >/proc/sys/net/ipv4/ip_local_port_range; \
         BGCTL_HEALTH=\"$1\" exec bgctl probe itself 9836' - '{health}'"
    );
    let failed = host.run(&command).expect(1);
    assert!(failed.error().contains("last answer: connection refused"), "{failed:?}");
}
