//! The store in a real etcd: each test starts one of its own inside a host.

#[path = "../store/contract.rs"]
mod contract;
mod etcd;
mod proxy;
mod refused;
mod rivals;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bgctl::model::{Color, Cursor, EtcdSettings, Hinted, Revision};
use bgctl::store::SetError;
use contract::{active, app, host, lease, ports};
use etcd::{Etcd, open};

/// What the error says with its hint, with words in the place of what differs from run to run.
fn told(etcd: &Etcd, error: impl Into<eyre::Report>) -> String {
    let error = &error.into();
    let hint = Hinted::find(error).expect("a hint").hint();
    let text = format!("{error:#}\nhint: {hint}").replace(&etcd.address(), "ADDRESS");
    assert!(!text.contains("s3cret"), "{text}");
    text
}

#[tokio::test]
async fn contract_holds() {
    let etcd = Etcd::start("contract", "");
    let number = AtomicU32::new(0);
    contract::holds(async || {
        let prefix = format!("/bgctl/{}/", number.fetch_add(1, Ordering::Relaxed));
        open(EtcdSettings {
            prefix,
            ..etcd.settings()
        })
        .await
        .unwrap()
    })
    .await;
}

#[tokio::test]
async fn anyone_can_read_it() {
    let etcd = Etcd::start("readable", "");
    let store = open(etcd.settings()).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    insta::assert_snapshot!(etcd.etcdctl("get --prefix /"), @"
    /shop/blue/port
    9001
    /shop/blue/status
    idle
    /shop/blue/url
    http://127.0.0.1:9001
    /shop/green/port
    9002
    /shop/green/status
    idle
    /shop/green/url
    http://127.0.0.1:9002
    /shop/instance
    none
    /shop/moved-by

    /shop/port
    0
    /shop/release

    /shop/url
    ");
    store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Green, 2))
        .await
        .unwrap();
    insta::assert_snapshot!(etcd.etcdctl("get --prefix /"), @"
    /shop/blue/port
    9001
    /shop/blue/status
    idle
    /shop/blue/url
    http://127.0.0.1:9001
    /shop/green/port
    9002
    /shop/green/status
    active
    /shop/green/url
    http://127.0.0.1:9002
    /shop/instance
    green
    /shop/moved-by
    host/0002
    /shop/port
    9002
    /shop/release
    r2
    /shop/url
    http://127.0.0.1:9002
    ");
    store.remove(&app("shop")).await.unwrap();
    assert_eq!(etcd.etcdctl("get --prefix /"), "");
}

/// Other programs keep keys below the same prefix, also below the app's name, and large ones.
#[tokio::test]
async fn keys_of_others_are_neither_read_nor_changed() {
    let etcd = Etcd::start("foreign", "--max-request-bytes 20971520");
    let store = open(etcd.settings()).await.unwrap();
    let mut client = etcd_client::Client::connect([etcd.address()], None).await.unwrap();
    let foreign = [
        "/instance",
        "/registry/instance",
        "/registry/pods/x",
        "/shop",
        "/shop/",
        "/shop/blue/weight",
        "/shop/colour",
        "/Shop/instance",
        "shop/instance",
    ];
    for key in foreign {
        client.put(key, vec![b'x'; 8 << 20], None).await.unwrap();
    }
    let everything = [app("shop"), app("registry")];
    assert!(store.list(&[app("shop")]).await.unwrap().is_empty());
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let (_, found) = store.acquire(&app("shop"), &lease("host/0007"), &host()).await.unwrap();
    assert_eq!(found.as_ref(), Some(&created));
    let listed = store.list(&everything).await.unwrap();
    assert_eq!(listed[&app("shop")].as_ref().unwrap(), &created);
    assert!(listed[&app("registry")].is_err());
    store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Green, 2))
        .await
        .unwrap();
    store.remove(&app("shop")).await.unwrap();
    etcd.etcdctl("del /shop/claim");
    let left = etcd.etcdctl("get --from-key --keys-only ''");
    let mut left: Vec<_> = left.split_whitespace().collect();
    left.sort_unstable();
    let mut expected = foreign;
    expected.sort_unstable();
    assert_eq!(left, expected);
}

/// Another program has some of the keys of the record.
#[tokio::test]
async fn keys_of_a_record_that_are_anothers_are_named_and_left() {
    let etcd = Etcd::start("taken", "");
    let store = open(etcd.settings()).await.unwrap();
    for (key, value) in [("url", "https://shop.example"), ("port", "443"), ("release", "2026-11")] {
        etcd.etcdctl(&format!("put /shop/{key} {value}"));
    }
    let before = etcd.etcdctl("get --prefix /");
    let failure = told(&etcd, store.create(&app("shop"), &ports()).await.unwrap_err());
    insta::assert_snapshot!(failure, @r#"
    cannot keep a cursor of shop below / in etcd: keys /shop/port, /shop/release, /shop/url belong to another program
    hint: give bgctl keys of its own, prefix = "/bgctl/" in [store] of bgctl.toml, or the app another name
    "#);
    assert_eq!(told(&etcd, store.get(&app("shop")).await.unwrap_err()), failure);
    let replaced = store.replace(&app("shop"), &ports(), &active(Color::Blue, 1)).await;
    assert!(matches!(replaced, Err(SetError::Refused(_))), "{replaced:?}");
    let expected = Revision(0);
    let set = store
        .compare_and_set(&app("shop"), &ports(), expected, &active(Color::Blue, 1))
        .await;
    assert!(matches!(set, Err(SetError::Refused(_))), "{set:?}");
    store.remove(&app("shop")).await.unwrap();
    assert_eq!(etcd.etcdctl("get --prefix /"), before);

    // Within a prefix of its own it is in nobody's way.
    let prefix = "/bgctl/".to_owned();
    let own = open(EtcdSettings {
        prefix,
        ..etcd.settings()
    })
    .await
    .unwrap();
    own.create(&app("shop"), &ports()).await.unwrap();
    own.remove(&app("shop")).await.unwrap();
    assert_eq!(etcd.etcdctl("get --prefix /"), before);

    // It comes later, and takes one of the keys.
    store.create(&app("basket"), &ports()).await.unwrap();
    etcd.etcdctl("del /basket/url");
    etcd.etcdctl("put /basket/url https://basket.example");
    store.remove(&app("basket")).await.unwrap();
    assert_eq!(
        etcd.etcdctl("get --prefix /basket/"),
        "/basket/url\nhttps://basket.example"
    );
}

#[tokio::test]
async fn record_that_hands_changed_is_repaired_and_removed() {
    let etcd = Etcd::start("person", "");
    let store = open(etcd.settings()).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    etcd.etcdctl("put /shop/instance green");
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    assert!(
        matches!(&set, Err(SetError::Conflict(Some(found))) if found.cursor.active == Some(Color::Green)),
        "{set:?}"
    );

    etcd.etcdctl("put /shop/instance purple");
    let failure = told(&etcd, store.get(&app("shop")).await.unwrap_err());
    insta::assert_snapshot!(failure, @r#"
    cannot use the cursor of shop in etcd: key /shop/instance: cannot use "purple" as a color: it is not blue, green or none
    hint: look at it with `etcdctl get --prefix /shop/`; bgctl repair shop writes there what serves
    "#);
    let listed = store.list(&[app("shop")]).await.unwrap().remove(&app("shop"));
    assert_eq!(told(&etcd, listed.unwrap().unwrap_err()), failure);
    assert_eq!(
        told(&etcd, store.create(&app("shop"), &ports()).await.unwrap_err()),
        failure
    );
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &Cursor::default())
        .await;
    assert!(matches!(set, Err(SetError::Refused(_))), "{set:?}");

    for hand in [
        "put /shop/instance purple",
        "del /shop/instance",
        "del /shop/release",
        "del --prefix /shop/blue/",
        "del --prefix /shop/",
    ] {
        etcd.etcdctl(hand);
        let cursor = active(Color::Blue, 1);
        match store.replace(&app("shop"), &ports(), &cursor).await {
            Ok(_) => {}
            // What is for others to read is written again by the next move.
            Err(SetError::Conflict(Some(found))) if hand.ends_with("blue/") => {
                let set = store
                    .compare_and_set(&app("shop"), &ports(), found.revision, &cursor)
                    .await;
                set.unwrap();
            }
            Err(error) => panic!("{hand}: {error}"),
        }
        assert_eq!(store.get(&app("shop")).await.unwrap().unwrap().cursor, cursor);
        assert_eq!(
            etcd.etcdctl("get --prefix --keys-only /shop/")
                .split_whitespace()
                .count(),
            11
        );
    }
    etcd.etcdctl("put /shop/url mine");
    etcd.etcdctl("del /shop/moved-by");
    store.remove(&app("shop")).await.unwrap();
    assert_eq!(etcd.etcdctl("get --prefix /"), "");
}

/// As `status` of a host with many apps asks for them.
#[tokio::test]
async fn hundreds_of_apps_are_listed() {
    let etcd = Etcd::start("many", "");
    let store = open(etcd.settings()).await.unwrap();
    let apps: Vec<_> = (0..300).map(|number| app(&format!("app-{number}"))).collect();
    let ports = ports();
    let create = |app| store.create(app, &ports);
    for created in futures_util::future::join_all(apps.iter().map(create)).await {
        created.unwrap();
    }
    let listed = store.list(&apps).await.unwrap();
    assert_eq!(listed.len(), 300);
    assert!(listed.values().all(Result::is_ok));
}

#[tokio::test]
async fn one_endpoint_that_answers_is_enough() {
    let etcd = Etcd::start("several", "");
    let dead = Etcd::prepare("several-dead");
    let endpoints = vec![
        format!("http://{}", dead.address()),
        format!("http://{}", etcd.address()),
    ];
    let store = open(EtcdSettings {
        endpoints,
        ..etcd.settings()
    })
    .await
    .unwrap();
    for _ in 0..20 {
        store.create(&app("shop"), &ports()).await.unwrap();
    }
}

#[tokio::test]
async fn etcd_dies_in_the_middle() {
    let etcd = Etcd::start("dies", "");
    let timeout = Duration::from_secs(1);
    let store = open(EtcdSettings {
        timeout,
        ..etcd.settings()
    })
    .await
    .unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();

    etcd.signal("STOP");
    let start = Instant::now();
    let error = told(&etcd, store.get(&app("shop")).await.unwrap_err());
    assert!(error.contains("no answer within 1s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    etcd.signal("CONT");
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created.clone()));

    // It may come through when it runs again.
    etcd.signal("STOP");
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Green, 2))
        .await;
    assert!(matches!(set, Err(SetError::Unknown(_))), "{set:?}");

    etcd.kill();
    // The connection that it had may break with a call on it; on a new one nothing is sent.
    assert!(store.get(&app("shop")).await.is_err());
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    let Err(SetError::Refused(error)) = set else {
        panic!("{set:?}")
    };
    let error = told(&etcd, error);
    assert!(error.starts_with("cannot reach etcd at http://ADDRESS: "), "{error}");

    etcd.run();
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created.clone()));
    let moved = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    assert!(moved.unwrap() > Revision(1));
}

/// etcd moves the cursor, and its answer is lost: the move must not look like one of somebody else.
#[tokio::test]
async fn answer_is_lost() {
    let etcd = Etcd::start("answer", "");
    let proxy = proxy::Proxy::start(etcd.address()).await;
    let endpoints = vec![format!("http://{}", proxy.address())];
    let store = open(EtcdSettings {
        endpoints,
        ..etcd.settings()
    })
    .await
    .unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();

    proxy.lose_an_answer();
    let moved = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await
        .unwrap();
    assert_eq!(proxy.lost(), 1);
    let found = store.get(&app("shop")).await.unwrap().unwrap();
    assert_eq!((found.revision, found.cursor), (moved, active(Color::Blue, 1)));

    proxy.lose_an_answer();
    let stale = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Green, 2))
        .await;
    assert_eq!(proxy.lost(), 2);
    assert!(matches!(stale, Err(SetError::Conflict(Some(_)))), "{stale:?}");

    proxy.lose_an_answer();
    store.remove(&app("shop")).await.unwrap();
    proxy.lose_an_answer();
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
    proxy.lose_an_answer();
    assert_eq!(
        store.create(&app("shop"), &ports()).await.unwrap().cursor,
        Cursor::default()
    );
    assert_eq!(proxy.lost(), 5);
}

/// The database is full: what is refused has not been done, which a read tells.
#[tokio::test]
async fn full_database_moves_nothing() {
    let etcd = Etcd::start("full", "--quota-backend-bytes 1000000");
    let store = open(etcd.settings()).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let mut client = etcd_client::Client::connect([etcd.address()], None).await.unwrap();
    while client.put("/filler", vec![b'x'; 100_000], None).await.is_ok() {}
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    let Err(SetError::Refused(error)) = set else {
        panic!("{set:?}")
    };
    insta::assert_snapshot!(told(&etcd, error), @"
    cannot write to etcd at http://ADDRESS: its database is full
    hint: compact and defragment it, then `etcdctl alarm disarm`
    ");
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created));
}

/// A member loses its power in the middle of a call: nothing closes the connection, and TCP alone would wait for minutes.
#[tokio::test]
async fn member_that_vanishes_in_a_call_is_noticed() {
    let etcd = Etcd::start("vanishes", "");
    let proxy = proxy::Proxy::start(etcd.address()).await;
    let settings = EtcdSettings {
        endpoints: vec![format!("http://{}", proxy.address())],
        timeout: Duration::from_secs(60),
        ..etcd.settings()
    };
    let store = open(settings).await.unwrap();
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    proxy.vanish();
    let start = Instant::now();
    let moved = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    moved.unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(proxy.connections(), 2);
}

/// It does so while no call is on the connection. etcd closes connections with too many pings; until then this one holds.
#[tokio::test]
async fn member_that_vanishes_between_calls_is_noticed_within_one() {
    /// Longer than a connection may be silent before a ping is sent with the next call.
    const IDLE: Duration = Duration::from_millis(6200);
    let etcd = Etcd::start("vanished", "");
    let proxy = proxy::Proxy::start(etcd.address()).await;
    let store = open(EtcdSettings {
        endpoints: vec![format!("http://{}", proxy.address())],
        ..etcd.settings()
    })
    .await
    .unwrap();
    for _ in 0..4 {
        store.get(&app("shop")).await.unwrap();
        tokio::time::sleep(IDLE).await;
    }
    assert_eq!(proxy.connections(), 1);
    proxy.vanish();
    store.get(&app("shop")).await.unwrap();
    assert_eq!(proxy.connections(), 2);
}
