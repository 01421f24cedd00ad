//! Where sites go: into a folder that nginx includes.

use crate::app::App;
use crate::host::Host;

#[test]
fn sites_go_into_a_folder_that_nginx_includes() {
    let host = Host::boot("sites-folder");
    host.use_local_store();
    // As where somebody made Debian's folder beside nginx's own packages.
    host.succeed("sed -i '/sites-enabled/d' /etc/nginx/nginx.conf && nginx -t -q && systemctl reload nginx");
    let app = App::program(&host, "plain", 9600).install();
    host.succeed("test -e /etc/nginx/conf.d/plain.conf && test -e /etc/nginx/conf.d/00-bgctl.conf");
    assert_eq!(host.succeed("ls /etc/nginx/sites-enabled"), "");
    app.switch("p1");
    app.is_served_by("p1", "blue");
    assert_eq!(app.status()["problems"], serde_json::json!([]));
    let again = app.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    host.succeed("rm /etc/nginx/conf.d/plain.conf");
    app.bgctl("repair", "").expect(0);
    app.is_served_by("p1", "blue");
    app.bgctl("uninstall", "--yes").expect(0);
    assert_eq!(host.succeed("ls /etc/nginx/conf.d"), "");

    // Neither folder.
    host.succeed(
        "mkdir /etc/nginx/vhosts /etc/nginx/nothing && \
         sed -i 's,include /etc/nginx/conf.d/,include /etc/nginx/vhosts/,' /etc/nginx/nginx.conf && \
         nginx -t -q && systemctl reload nginx",
    );
    let refused = app.try_install().expect(3);
    assert_eq!(
        refused.error(),
        "cannot put a site into /etc/nginx/sites-enabled: nginx does not include it"
    );
    assert!(
        refused.stderr.contains("[nginx] sites in bgctl.toml") && refused.stderr.contains("/etc/nginx/vhosts"),
        "{refused:?}"
    );
    host.copy_in("/etc/bgctl/bgctl.toml", "[nginx]\nsites = \"/etc/nginx/nothing\"\n");
    let refused = app.try_install().expect(3);
    assert!(refused.error().contains("/etc/nginx/nothing"), "{refused:?}");
    host.fail("ls -d /var/lib/bgctl/plain /etc/nginx/*/plain.conf /etc/systemd/system/plain@.service");
    host.copy_in("/etc/bgctl/bgctl.toml", "[nginx]\nsites = \"/etc/nginx/vhosts\"\n");
    let app = app.install();
    app.switch("p1");
    app.is_served_by("p1", "blue");
}
