//! Secrets are where they are documented to be, for root alone, and nowhere else: canaries are planted wherever a manifest, a
//! release or the host's settings can hold one, everything that bgctl can do is done, and then all is searched.

use std::fmt::Write as _;

use crate::app::App;
use crate::host::Host;

/// One for each place. Those of a login are in `config.json` in base64.
const HIDDEN: [&str; 6] = [
    "canary-env-5f1c",
    "canary-file-77ab",
    "canary-credential-90de",
    "canary-registry-3c3c",
    "canary-etcd-e2f0",
    "canary-broken-a8b1",
];
/// `bot:canary-registry-3c3c` and what Docker's client sends of it.
const LOGIN: &str = "Ym90OmNhbmFyeS1yZWdpc3RyeS0zYzNj";
/// An argument is no place for a secret: `ps` shows it. Beside the app's own processes nothing does.
const ARGUMENT: &str = "canary-argument-41aa";

/// All that bgctl prints, in `/run/told`.
fn tell(host: &Host, command: &str) -> i32 {
    host.run(&format!("DOCKER_CONFIG=/root/docker bgctl {command} >>/run/told 2>&1"))
        .status
}

/// Writes the canaries where secrets are, without a command line that shows one.
fn plant(host: &Host) {
    let mut all = HIDDEN.join("\n") + "\n";
    writeln!(all, "{LOGIN}").unwrap();
    host.copy_in("/root/hidden", &all);
    host.copy_in("/root/argument", &format!("{ARGUMENT}\n"));
    host.copy_in(
        "/root/docker/config.json",
        &format!("{{\"auths\":{{\"localhost:5000\":{{\"auth\":\"{LOGIN}\"}}}}}}"),
    );
    host.copy_in("/etc/shop/env", &format!("FROM_FILE={}\n", HIDDEN[1]));
    host.copy_in("/etc/shop/broken", &format!("A=1\n{}\n", HIDDEN[5]));
    host.copy_in("/etc/shop/credential", HIDDEN[2]);
    host.copy_in("/etc/bgctl/etcd.password", HIDDEN[4]);
    host.copy_in(
        "/opt/demo/wrapper",
        "#!/bin/sh\ntest \"$1\" && test -s \"$CREDENTIALS_DIRECTORY/db\" && exec /opt/demo/bdd-assistant\n",
    );
    host.succeed(
        "chmod 600 /etc/shop/* /etc/bgctl/etcd.password /root/docker/config.json; \
         cp /vagrant/target/*-linux-gnu/release/bdd-assistant /opt/demo/; chmod 755 /opt/demo/*; \
         etcdctl user add root --interactive=false </etc/bgctl/etcd.password && etcdctl user grant-role root root && \
         etcdctl auth enable",
    );
    let settings = "[store]\nendpoints = [\"http://127.0.0.1:2379\"]\nuser = \"root\"\npassword_file = \"/etc/bgctl/etcd.password\"\n";
    host.copy_in("/etc/bgctl/bgctl.toml", settings);
}

fn with_secrets(app: App<'_>) -> App<'_> {
    let commands = vec!["test $BGCTL_RELEASE != bad || { echo bad >&2; exit 1; }"];
    app.set("run.env.FROM_MANIFEST", HIDDEN[0])
        .set("run.env_file", "/etc/shop/env")
        .set("run.credentials.db", "/etc/shop/credential")
        .set("verify.commands", commands)
}

/// Every verb, well and badly.
fn use_all(host: &Host, app: &App<'_>, releases: [&str; 3]) {
    let (name, manifest) = (app.name(), app.manifest());
    app.write_manifest();
    assert_eq!(tell(host, &format!("-vv install {manifest} --dry-run")), 0);
    assert_eq!(tell(host, &format!("-vv install {manifest}")), 0);
    let [first, second, bad] = releases;
    assert_eq!(tell(host, &format!("-vv switch {name} {first} --release one")), 0);
    assert_eq!(
        tell(host, &format!("-vv switch {name} {second} --release two --json")),
        0
    );
    assert_eq!(tell(host, &format!("-vv switch {name} {second} --release bad")), 1);
    assert_ne!(tell(host, &format!("-vv switch {name} {bad} --release worse")), 0);
    assert_eq!(tell(host, &format!("-vv rollback {name} --json")), 0);
    for verb in [
        "status",
        "status --json",
        "abort",
        "switch --follow",
        "rollback --to none",
    ] {
        let (verb, rest) = verb.split_once(' ').unwrap_or((verb, ""));
        tell(host, &format!("-vv {verb} {name} {rest}"));
    }
}

/// Manifests and env files that are wrong where a secret stands: what is told is where, and nothing of what.
fn get_wrong(host: &Host, app: &App<'_>) {
    let (name, manifest) = (app.name(), app.manifest());
    let changes = [
        format!("s/{}/other/", HIDDEN[0]),
        format!("s/FROM_MANIFEST = .*/FROM_MANIFEST = [\"{}\"]/", HIDDEN[0]),
        format!("s/FROM_MANIFEST = .*/PORT = \"{}\"/", HIDDEN[0]),
        format!("s/FROM_MANIFEST = .*/FROM_MANIFEST = \"{}/", HIDDEN[0]),
        "s,/etc/shop/credential,/etc/shop/missing,".to_owned(),
    ];
    for change in changes {
        host.copy_in("/root/change", &change);
        host.succeed(&format!("sed -f /root/change {manifest} >/root/changed.toml"));
        for verb in ["install /root/changed.toml --dry-run", "install /root/changed.toml"] {
            tell(host, &format!("-vv {verb}"));
        }
        assert_eq!(tell(host, &format!("-vv install {manifest}")), 0);
    }
    host.succeed(&format!(
        "sed 's,/etc/shop/env,/etc/shop/broken,' {manifest} >/root/changed.toml"
    ));
    assert_eq!(tell(host, "-vv install /root/changed.toml"), 0);
    assert_eq!(tell(host, &format!("-vv switch {name}")), 2);
    assert_eq!(tell(host, &format!("-vv install {manifest}")), 0);
}

/// Fails where a file with one of the patterns is found in what a command prints.
#[track_caller]
fn is_clean(host: &Host, patterns: &str, command: &str) {
    let found = host.run(&format!("{{ {command}; }} | grep -aF -m 5 -f /root/{patterns}"));
    assert_eq!(
        (found.status, found.stdout.as_str()),
        (1, ""),
        "in what this prints: {command}"
    );
}

/// The machine id is confidential (machine-id(5)): what is written and told of it is what systemd too would derive.
fn the_machine_id_is_derived_from(host: &Host) {
    let derive = "systemd-id128 machine-id --app-specific=660c6308cb3d430abb00a19f44cdfa6f | head -c 12";
    let id = host.succeed(derive);
    let etcd = "ETCDCTL_USER=root:$(cat /root/right) etcdctl get --prefix ''";
    host.succeed(&format!("{etcd} | grep -F -- -{id}/000"));
    host.succeed("head -c 8 /etc/machine-id >/root/machine; echo >>/root/machine");
    for command in [etcd, "find /var/lib/bgctl -type f -exec cat {} +", "cat /run/told"] {
        is_clean(host, "machine", command);
    }
}

#[test]
fn secrets_are_for_root_alone_and_in_their_files() {
    let host = Host::boot("secrets");
    host.succeed("sh /vagrant/vagrant/push-release v1 v2");
    plant(&host);
    let program = App::program(&host, "safe", 9180)
        .set("run.exec", "/opt/demo/wrapper")
        .set("run.args", vec![ARGUMENT]);
    let program = with_secrets(program);
    let docker = with_secrets(App::docker(&host, "vault", 9182));

    let sample =
        "while test -e /run/sampling; do cat /proc/[0-9]*/cmdline; echo; done 2>/dev/null | tr '\\0' ' ' >/run/seen";
    host.succeed("touch /run/sampling");
    let sampler = host.spawn(sample);
    use_all(&host, &program, ["--exec /opt/demo/wrapper", "", "--exec /bin/false"]);
    use_all(
        &host,
        &docker,
        [
            "--image localhost:5000/bdd-assistant:v1",
            "--image localhost:5000/bdd-assistant:v2",
            "--image localhost:5000/none:x",
        ],
    );
    get_wrong(&host, &program);
    // The wrong password of etcd.
    host.succeed("cp /etc/bgctl/etcd.password /root/right && sed -i 's/$/x/' /etc/bgctl/etcd.password");
    tell(&host, "-vv status safe");
    assert_ne!(tell(&host, "-vv switch safe"), 0);
    host.succeed("cp /root/right /etc/bgctl/etcd.password && rm /run/sampling");
    Host::wait(sampler);
    assert_eq!(
        host.get("vault.test", "/").header("x-release"),
        "one",
        "the secrets did not keep it from running"
    );

    // The canaries can be found at all.
    for file in [
        "/var/lib/bgctl/safe/9180.env",
        "/etc/bgctl/apps/vault.toml",
        "/var/lib/bgctl/vault/releases/one.json",
        "/var/lib/bgctl/vault/releases/one.container-env",
    ] {
        host.succeed(&format!("grep -qF -f /root/hidden {file}"));
        assert_eq!(host.succeed(&format!("stat -c '%a %U' {file}")), "600 root");
    }
    host.succeed("grep -qF -f /root/argument /run/seen && grep -q 'docker run' /run/seen && grep -q 'bgctl -vv switch' /run/seen");

    is_clean(&host, "hidden", "cat /run/seen");
    the_machine_id_is_derived_from(&host);
    let etcd = "ETCDCTL_USER=root:$(cat /root/right) etcdctl get --prefix ''";
    host.succeed(&format!("{etcd} | grep -q /vault/instance"));
    for patterns in ["hidden", "argument"] {
        for command in [
            "journalctl --no-pager --all --output=verbose | grep -v '    _CMDLINE='",
            etcd,
            "systemctl show '*'; systemctl cat '*'; systemctl status --no-pager 'safe@*' 'vault@*' 'bgctl-switch@*'",
            "find /etc/systemd /run/systemd /etc/nginx /var/log/nginx -type f -exec cat {} +",
            "bgctl status safe; bgctl status vault --json; bgctl status --json",
        ] {
            is_clean(&host, patterns, command);
        }
    }
    // A dry run shows arguments, as the manifest has them; all else that was printed shows nothing.
    is_clean(&host, "hidden", "cat /run/told");
    is_clean(&host, "argument", "grep -v '^[ +-]args = ' /run/told");

    // Nobody but root can read one, wherever it is.
    host.succeed("cp /root/hidden /opt/hidden && chmod 644 /opt/hidden && rm -f /root/changed.toml");
    let search = "setpriv --reuid=nobody --regid=nogroup --clear-groups grep -raIlF -f /opt/hidden \
                  /etc /root /run /tmp /var/lib/bgctl /var/lib/private /var/log /opt/demo 2>/dev/null";
    assert_eq!(host.run(search).stdout, "");
    for app in ["safe", "vault"] {
        assert_eq!(tell(&host, &format!("-vv uninstall {app} --yes")), 0);
    }
    is_clean(
        &host,
        "hidden",
        "cat /run/told; cat $(find /var/lib/bgctl /etc/bgctl/apps -type f)",
    );
}
