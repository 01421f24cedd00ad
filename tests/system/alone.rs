//! The data plane needs none of us: neither etcd nor the registry nor bgctl.

use crate::app::App;
use crate::host::{Host, wait};

#[test]
fn with_etcd_registry_and_bgctl_gone_the_active_release_serves_also_after_a_power_cut() {
    let host = Host::boot("alone");
    host.push_images();
    host.copy_program();
    App::docker(&host, "boxed", 9100).install().switch("v1");
    App::program(&host, "bare", 9102).install().switch("v1");
    App::docker(&host, "boxed", 9100).switch("v2");
    App::program(&host, "bare", 9102).switch("v2");

    host.succeed(
        "systemctl disable --now etcd docker-registry && mv /usr/local/bin/bgctl /root/ && rm -r /var/lib/docker-registry",
    );
    host.reboot();
    for (name, port) in [("boxed", 9101), ("bare", 9103)] {
        let site = format!("{name}.test");
        let look = || host.try_get(&site, "/").filter(|answer| answer.status == 200).ok_or(());
        let answer = wait(look).unwrap_or_else(|()| panic!("{name} never came back"));
        assert_eq!((answer.header("x-release"), answer.header("x-color")), ("v2", "green"));
        host.wait_for_unit(&format!("{name}@{port}"));
        host.fail(&format!("systemctl is-active {name}@{}", port - 1));
    }

    // The instances restart without us, too.
    host.succeed("docker kill boxed-9101; systemctl kill --signal=KILL bare@9103");
    for site in ["boxed.test", "bare.test"] {
        let look = || host.try_get(site, "/").filter(|answer| answer.status == 200).ok_or(());
        assert!(wait(look).is_ok(), "{site} never came back");
    }

    // nginx is killed.
    host.succeed("systemctl kill --signal=KILL nginx; systemctl reset-failed nginx; systemctl start nginx");
    assert_eq!(host.get("boxed.test", "/").header("x-release"), "v2");
    let slow = "curl -sf -H 'Host: boxed.test' -d x -o /dev/null -D - http://127.0.0.1/echo";
    assert!(host.succeed(slow).contains("x-release: v2"));

    // And all comes back.
    host.succeed(
        "mv /root/bgctl /usr/local/bin/ && systemctl start etcd && mkdir /var/lib/docker-registry && \
                  chown docker-registry: /var/lib/docker-registry && systemctl start docker-registry",
    );
    host.succeed("docker push -q localhost:5000/bdd-assistant:v3");
    App::docker(&host, "boxed", 9100).switch("v3");
}
