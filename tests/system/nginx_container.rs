//! nginx as a container, by the unit that is shipped for it.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

/// Makes an image of the host's own nginx.
const IMAGE: &str = r#"
set -e
root=$(mktemp -d)
mkdir -p $root/run $root/tmp $root/var/log/nginx $root/var/lib/nginx
cp --parents --dereference /usr/sbin/nginx $(ldd /usr/sbin/nginx | grep -o '/[^ ]*') \
    $(find /usr/lib/nginx/modules /usr/share/nginx -name '*.so') /etc/passwd /etc/group $root/
tar -C $root -c . | docker import --change 'ENV PATH=/usr/sbin' --change 'CMD ["nginx", "-g", "daemon off;"]' - own-nginx:1
"#;

#[test]
fn nginx_in_a_container_gets_the_routes_and_nothing_else_of_bgctls_state() {
    let host = Host::boot("nginx-container");
    host.use_local_store();
    host.succeed(IMAGE);
    host.copy_in(
        "/etc/bgctl/bgctl.toml",
        "[nginx]\ntest = [\"/usr/bin/docker\", \"exec\", \"nginx\", \"nginx\", \"-t\"]\n",
    );
    host.copy_in(
        "/etc/systemd/system/nginx.service.d/image.conf",
        "[Service]\nEnvironment=NGINX_IMAGE=own-nginx:1\n",
    );
    host.succeed(
        "systemctl disable --now nginx && cp /vagrant/units/nginx.service /etc/systemd/system/ && \
         systemctl daemon-reload && systemctl enable --now nginx",
    );
    let app = App::program(&host, "shop", 9100).install();
    assert_eq!(app.get("/").status, 503);
    app.switch("p1");
    let load = Load::on(&app);
    app.switch("p2");
    app.is_served_by("p2", "green");
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p1", "blue");
    let report = load.stop();
    assert_eq!(releases(&report), ["p1 in blue", "p2 in green"]);

    // The socket on which requests are held lies among the routes, which it can only read.
    let app = app.set("switch.strategy", "stop-first").install();
    let load = Load::on(&app);
    let held = app.switch("p3")["held_ms"].as_u64();
    assert!(held.is_some(), "{held:?}");
    app.is_served_by("p3", "green");
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p3 in green"]);
    let app = app.without("switch.strategy").install();
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p1", "blue");

    let mounts =
        host.succeed("docker inspect --format '{{range .Mounts}}{{.Destination}} {{.RW}}\n{{end}}' nginx | sort");
    let mounts: Vec<_> = mounts.split_whitespace().collect();
    let expected = [
        ["/etc/nginx", "false"],
        ["/etc/ssl", "false"],
        ["/var/lib/bgctl-routes", "false"],
        ["/var/log/nginx", "true"],
    ];
    assert_eq!(mounts, expected.concat());
    host.fail("ls /proc/$(docker inspect --format '{{.State.Pid}}' nginx)/root/var/lib/bgctl");

    host.copy_in("/etc/nginx/shop.d/own.conf", "no_such_directive on;\n");
    let changed = App::program(&host, "shop", 9100).set("nginx.max_body_size", "1k");
    let refused = changed.try_install();
    assert!(
        refused.status == 3 && refused.stderr.contains("no_such_directive"),
        "{refused:?}"
    );
    host.succeed("rm /etc/nginx/shop.d/own.conf && docker exec nginx nginx -t -q");
    app.is_served_by("p1", "blue");
}
