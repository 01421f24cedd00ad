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
use contract::{active, app, ports};
use etcd::{Etcd, open};

/// What the error says with its hint, with words in the place of what differs from run to run.
fn told(etcd: &Etcd, error: &eyre::Report) -> String {
    let hint = Hinted::find(error).expect("a hint").hint();
    let text = format!("{error:#}\nhint: {hint}").replace(&etcd.address(), "ADDRESS");
    assert!(!text.contains("s3cret"), "{text}");
    text
}

#[tokio::test]
async fn the_contract_holds() {
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

#[tokio::test]
async fn keys_of_others_are_left_alone() {
    let etcd = Etcd::start("foreign", "");
    let store = open(etcd.settings()).await.unwrap();
    let foreign = [
        "/registry/pods/x",
        "/registry/instance",
        "/instance",
        "/shop/colour",
        "/shop/blue/weight",
        "/Shop/instance",
        "shop/instance",
    ];
    for key in foreign {
        etcd.etcdctl(&format!("put -- {key} blue"));
    }
    assert!(store.list().await.unwrap().is_empty());
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
    store.create(&app("shop"), &ports()).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert_eq!(
        store.get(&app("shop")).await.unwrap().unwrap().cursor,
        Cursor::default()
    );
    store.remove(&app("shop")).await.unwrap();
    let mut left: Vec<_> = etcd
        .etcdctl("get --from-key --keys-only ''")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    left.sort();
    let mut expected = foreign.map(str::to_owned);
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn what_a_person_writes_is_seen() {
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
    let failure = told(&etcd, &store.get(&app("shop")).await.unwrap_err());
    insta::assert_snapshot!(failure, @r#"
    cannot use the cursor of shop in etcd: key /shop/instance: cannot use "purple" as a color: it is not blue, green or none
    hint: look at it with `etcdctl get --prefix /shop/`; bgctl repair shop puts there what serves
    "#);
    assert_eq!(told(&etcd, &store.list().await.unwrap_err()), failure);
    assert_eq!(
        told(&etcd, &store.create(&app("shop"), &ports()).await.unwrap_err()),
        failure
    );
    let set = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &Cursor::default())
        .await;
    assert!(matches!(set, Err(SetError::Refused(_))), "{set:?}");

    // As the article starts: two keys by hand.
    etcd.etcdctl("put /old/instance none");
    etcd.etcdctl("put /old/port 9000");
    insta::assert_snapshot!(told(&etcd, &store.get(&app("old")).await.unwrap_err()), @"
    cannot use the cursor of old in etcd: key /old/release: it is missing
    hint: look at it with `etcdctl get --prefix /old/`; bgctl repair old puts there what serves
    ");
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
    let error = told(&etcd, &store.get(&app("shop")).await.unwrap_err());
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
    assert!(
        told(&etcd, &error).starts_with("cannot reach etcd at http://ADDRESS: "),
        "{error:#}"
    );

    etcd.run();
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created.clone()));
    let moved = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &active(Color::Blue, 1))
        .await;
    assert!(moved.unwrap() > Revision(1));
}

/// etcd moves the cursor, and its answer is lost: the move must not look like one of somebody else.
#[tokio::test]
async fn an_answer_is_lost() {
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
