//! Who may not use etcd, or does not reach it, is told why.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bgctl::model::{Certificate, Color, EtcdSettings};

use super::contract::{active, app, host, lease, ports};
use super::etcd::{Etcd, Files, open};
use super::told;

async fn refused(etcd: &Etcd, settings: EtcdSettings) -> String {
    let asked = async { open(settings).await?.get(&app("shop")).await };
    told(etcd, asked.await.unwrap_err())
}

#[tokio::test]
async fn users_and_passwords() {
    let files = Files::new();
    let etcd = Etcd::start("users", "");
    let with = |user: &str, password: &str| EtcdSettings {
        user: Some((user.to_owned(), files.write(&format!("{user}.password"), password))),
        ..etcd.settings()
    };
    let right = with("bgctl", "s3cret\n");
    let other = with("other", "s3cret");
    insta::assert_snapshot!(refused(&etcd, right.clone()).await, @r#"
    cannot log in to etcd at http://ADDRESS as "bgctl": it has no users (authentication is off)
    hint: take user and password_file out of [store] in bgctl.toml, or switch it on by `etcdctl auth enable`
    "#);

    etcd.etcdctl("role add bgctl");
    // Less than the prefix of all apps is enough.
    etcd.etcdctl("role grant-permission bgctl readwrite --prefix=true /bgctl/shop/");
    for user in ["root", "bgctl", "other"] {
        etcd.etcdctl(&format!("user add {user}:s3cret"));
    }
    etcd.etcdctl("user grant-role bgctl bgctl");
    etcd.etcdctl("user grant-role root root");
    etcd.etcdctl("auth enable");

    insta::assert_snapshot!(refused(&etcd, etcd.settings()).await, @"
    cannot use etcd at http://ADDRESS: it wants a user and a password
    hint: give user and password_file in [store] of bgctl.toml
    ");
    let store = open(right.clone()).await.unwrap();
    insta::assert_snapshot!(told(&etcd, store.get(&app("shop")).await.unwrap_err()), @r#"
    cannot use the keys below / in etcd at http://ADDRESS: permission denied to "bgctl"
    hint: grant it by `etcdctl role grant-permission ROLE readwrite --prefix=true /`
    "#);
    insta::assert_snapshot!(told(&etcd, store.list(&[app("shop")]).await.unwrap_err()), @r#"
    cannot use the keys below / in etcd at http://ADDRESS: permission denied to "bgctl"
    hint: grant it by `etcdctl role grant-permission ROLE readwrite --prefix=true /`
    "#);
    let store = open(other).await.unwrap();
    let create = store.create(&app("shop"), &ports()).await.unwrap_err();
    assert!(told(&etcd, create).contains("permission denied to \"other\""));

    let own = EtcdSettings {
        prefix: "/bgctl/".to_owned(),
        ..right.clone()
    };
    let store = open(own).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let (held, _) = store.acquire(&app("shop"), &lease("host/0001"), &host()).await.unwrap();
    let moved = store
        .compare_and_set_held(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1), held)
        .await;
    moved.unwrap();
    assert!(store.renew(held).await.unwrap());
    store.release(held).await.unwrap();
    assert_eq!(store.list(&[app("shop")]).await.unwrap().len(), 1);
    // etcd forgets its tokens when it ends, as it does when they expire.
    etcd.kill();
    etcd.run();
    assert_eq!(store.list(&[app("shop")]).await.unwrap().len(), 1);

    files.write("bgctl.password", "s3cret but wrong\n");
    let wrong = refused(&etcd, right.clone())
        .await
        .replace(files.path("").as_str(), "/etc/bgctl/");
    insta::assert_snapshot!(wrong, @r#"
    cannot log in to etcd at http://ADDRESS as "bgctl": user or password are wrong
    hint: compare user in [store] of bgctl.toml and the password in /etc/bgctl/bgctl.password with etcd's
    "#);
    files.write("bgctl.password", "\n");
    assert!(
        refused(&etcd, right.clone())
            .await
            .ends_with("bgctl.password is empty\nhint: [store] in bgctl.toml names this file")
    );
    fs_err::remove_file(files.path("bgctl.password")).unwrap();
    assert!(
        refused(&etcd, right)
            .await
            .starts_with("cannot read the password of etcd: ")
    );
}

/// A token that is signed holds the revision of the users; etcd refuses it when they changed.
#[tokio::test]
async fn users_may_change_while_a_connection_lives() {
    let files = Files::new();
    let etcd = Etcd::prepare("jwt");
    etcd.host.succeed(&format!(
        "cd {0} && openssl genrsa -out jwt.key 2048 2>&1 && openssl rsa -in jwt.key -pubout -out jwt.pub 2>&1",
        etcd.folder
    ));
    let etcd = etcd.start_with("--auth-token jwt,pub-key=jwt.pub,priv-key=jwt.key,sign-method=RS256,ttl=10m");
    for command in ["user add root:s3cret", "user grant-role root root", "auth enable"] {
        etcd.etcdctl(command);
    }
    let user = Some(("root".to_owned(), files.write("password", "s3cret")));
    let store = open(EtcdSettings {
        user,
        ..etcd.settings()
    })
    .await
    .unwrap();
    etcd.etcdctl("--user root:s3cret user add other:s3cret");
    store.create(&app("shop"), &ports()).await.unwrap();
    assert_eq!(store.list(&[app("shop")]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn tls() {
    let files = Files::new();
    let etcd = Etcd::prepare("tls");
    etcd.make_certificates();
    for name in ["ca.pem", "client.pem", "client.key", "server.pem", "other-ca.pem"] {
        files.write(name, &etcd.host.succeed(&format!("cat {}/{name}", etcd.folder)));
    }
    let etcd = etcd.start_tls();
    let client = |certificate: &str, key: &str| {
        Some(Certificate {
            certificate: files.path(certificate),
            key: files.path(key),
        })
    };
    let right = EtcdSettings {
        ca: Some(files.path("ca.pem")),
        client: client("client.pem", "client.key"),
        ..etcd.settings()
    };
    let store = open(right.clone()).await.unwrap();
    store.create(&app("shop"), &ports()).await.unwrap();

    let refuse = async |settings| {
        refused(&etcd, settings)
            .await
            .replace(files.path("").as_str(), "/etc/bgctl/")
    };
    insta::assert_snapshot!(refuse(EtcdSettings { ca: Some(files.path("other-ca.pem")), ..right.clone() }).await, @"
    cannot reach etcd at https://ADDRESS over TLS: invalid peer certificate: UnknownIssuer
    hint: compare ca, certificate and key in [store] of bgctl.toml with what etcd was started with
    ");
    insta::assert_snapshot!(refuse(EtcdSettings { ca: None, ..right.clone() }).await, @"
    cannot reach etcd at https://ADDRESS over TLS: invalid peer certificate: UnknownIssuer
    hint: compare ca, certificate and key in [store] of bgctl.toml with what etcd was started with
    ");
    // The alert arrives, or the end of the connection before it.
    let no_certificate = refuse(EtcdSettings {
        client: None,
        ..right.clone()
    })
    .await;
    assert!(
        no_certificate.starts_with("cannot reach etcd at https://ADDRESS"),
        "{no_certificate}"
    );
    assert!(no_certificate.contains("certificate and key"), "{no_certificate}");
    insta::assert_snapshot!(refuse(EtcdSettings { client: client("client.key", "client.key"), ..right.clone() }).await, @"
    cannot use /etc/bgctl/client.key as the client certificate for etcd: it has no such PEM block
    hint: [store] in bgctl.toml names this file
    ");
    insta::assert_snapshot!(refuse(EtcdSettings { client: client("server.pem", "client.key"), ..right.clone() }).await, @"
    cannot reach etcd at https://ADDRESS over TLS: keys may not be consistent: KeyMismatch
    hint: compare ca, certificate and key in [store] of bgctl.toml with what etcd was started with
    ");
    insta::assert_snapshot!(refuse(EtcdSettings { ca: Some(files.path("none.pem")), ..right.clone() }).await, @"
    cannot read the CA certificate for etcd: failed to open file `/etc/bgctl/none.pem`: No such file or directory (os error 2)
    hint: [store] in bgctl.toml names this file
    ");
    let plain = vec![format!("http://{}", etcd.address())];
    insta::assert_snapshot!(refuse(EtcdSettings { endpoints: plain, ca: None, client: None, ..right.clone() }).await, @"
    cannot reach etcd at http://ADDRESS: it closed the connection
    hint: etcd closed the connection: see in its log whether it ended or speaks TLS (https:// in endpoints of [store] in bgctl.toml)
    ");

    let insecure = Etcd::start("tls-plain", "");
    let endpoints = vec![format!("https://{}", insecure.address())];
    let error = refused(&insecure, EtcdSettings { endpoints, ..right }).await;
    assert!(error.starts_with("cannot reach etcd at https://ADDRESS"), "{error}");
    assert!(error.contains("[store]"), "{error}");
}

#[tokio::test]
async fn unreachable() {
    let etcd = Etcd::prepare("unreachable");
    insta::assert_snapshot!(refused(&etcd, etcd.settings()).await, @"
    cannot reach etcd at http://ADDRESS: Connection refused (os error 111)
    hint: check endpoints in [store] of bgctl.toml and that etcd runs: `etcdctl --endpoints http://ADDRESS endpoint health`
    ");
    let endpoints = vec!["http://etcd.invalid:2379".to_owned()];
    let unknown = refused(
        &etcd,
        EtcdSettings {
            endpoints,
            ..etcd.settings()
        },
    )
    .await;
    assert!(
        unknown.starts_with("cannot reach etcd at http://etcd.invalid:2379: "),
        "{unknown}"
    );

    // It takes connections and never answers, as behind a broken load balancer.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = vec![format!("http://{}", silent.local_addr().unwrap())];
    let timeout = Duration::from_millis(300);
    let start = Instant::now();
    let error = refused(
        &etcd,
        EtcdSettings {
            endpoints,
            timeout,
            ..etcd.settings()
        },
    )
    .await;
    assert!(error.contains(": no answer within 300ms\nhint: "), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn value_of_ten_megabytes_is_told_in_a_line() {
    let etcd = Etcd::start("large", "--max-request-bytes 20971520");
    let store = open(etcd.settings()).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let mut client = etcd_client::Client::connect([etcd.address()], None).await.unwrap();
    client.put("/shop/url", vec![b'x'; 10 << 20], None).await.unwrap();
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created));
    client.put("/shop/instance", vec![b'x'; 10 << 20], None).await.unwrap();
    let error = told(&etcd, store.get(&app("shop")).await.unwrap_err());
    let start = "cannot use the cursor of shop in etcd: key /shop/instance: cannot use \"xxx";
    assert!(error.starts_with(start) && error.len() < 1000, "{error}");
}

/// etcd with a certificate that nobody else signed, which is given as `ca`: it can be trusted as it is, if it is not an
/// authority's and names the host.
#[tokio::test]
async fn certificate_that_signed_itself_is_taken_or_told_how_to_make_it() {
    let files = Files::new();
    let mut told = String::new();
    for (name, options) in [
        ("plain", ""),
        (
            "other",
            "-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:etcd.example",
        ),
        (
            "right",
            "-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:",
        ),
        ("auto", "--auto-tls"),
    ] {
        let etcd = Etcd::prepare(&format!("signed-{name}"));
        let address = etcd.host.address().to_string();
        let etcd = if name == "auto" {
            etcd.start_with_tls(options)
        } else {
            let options = options.replace("IP:", &format!("IP:{address}"));
            etcd.host.succeed(&format!(
                "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.pem -days 2 \
                 -subj /CN={address} {options} 2>&1",
                etcd.folder
            ));
            etcd.start_with_tls("--cert-file server.pem --key-file server.key")
        };
        let certificate = etcd.host.succeed(&format!(
            "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509",
            etcd.address()
        ));
        let settings = EtcdSettings {
            ca: Some(files.write("self.pem", &certificate)),
            ..etcd.settings()
        };
        let asked = async { open(settings).await?.get(&app("shop")).await };
        let answer = match asked.await {
            Ok(_) => "taken".to_owned(),
            Err(error) => super::told(&etcd, error).replace(&address, "HOST"),
        };
        writeln!(told, "{name}: {answer}").unwrap();
    }
    insta::assert_snapshot!(told, @r#"
    plain: cannot reach etcd at https://ADDRESS over TLS: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))
    hint: etcd's certificate is an authority's (CA:TRUE), which may sign and not serve: sign one for etcd with it, or make it by `openssl req -x509` with -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:HOST
    other: cannot reach etcd at https://ADDRESS over TLS: invalid peer certificate: certificate not valid for name "HOST"; certificate is only valid for DnsName("etcd.example")
    hint: name etcd in endpoints of [store] in bgctl.toml as its certificate does, or make that with subjectAltName=IP:HOST
    right: taken
    auto: cannot reach etcd at https://ADDRESS over TLS: received fatal alert: HandshakeFailure
    hint: etcd's key may be of a kind that bgctl cannot use, as the P-521 key of --auto-tls is: RSA, P-256, P-384 and Ed25519 can be used
    "#);
}
