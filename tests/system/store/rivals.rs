//! Two hosts race for one cursor, again and again, and one of them sleeps longer than its lease lasts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bgctl::model::{AppName, Color, HostId, Revision};
use bgctl::store::{HeldLease, LEASE_TTL, LeaseError, SetError, Store};
use futures_util::future::{join, join_all};

use super::contract::{active, app, lease, ports};
use super::etcd::{Etcd, open};

/// Within this a lease must be free when its holder is dead.
const FREE: Duration = Duration::from_secs(15);
const APPS: u32 = 20;
const ROUNDS: u32 = 10;

fn host(name: &str) -> HostId {
    HostId {
        id: name.to_owned(),
        earlier: format!("{name}-before"),
    }
}

/// A host that takes part: its own connection, and the revisions that it promoted on.
struct Rival {
    name: &'static str,
    store: Store,
}

#[tokio::test]
async fn of_two_rivals_one_promotes_in_200_rounds() {
    let etcd = Etcd::start("rivals", "");
    let rival = async |name| Rival {
        name,
        store: open(etcd.settings()).await.unwrap(),
    };
    let rivals = [rival("web1").await, rival("web2").await];
    let races = (0..APPS).map(|number| race(&rivals, number));
    let promoted: Vec<_> = join_all(races).await;
    let lost: u32 = promoted.iter().map(|(_, lost)| lost).sum();
    assert!(lost > 0, "nobody ever came too late");
    for (revisions, _) in &promoted {
        let distinct: BTreeSet<_> = revisions.iter().collect();
        assert_eq!(
            distinct.len(),
            revisions.len(),
            "two promotes from one revision: {revisions:?}"
        );
        assert!(revisions.len() >= ROUNDS as usize, "{revisions:?}");
    }
}

/// All rounds of an app: the revisions that were promoted on, and how many came too late. In one of them, a different one
/// for each app, whoever acquires the lease first sleeps.
async fn race(rivals: &[Rival; 2], number: u32) -> (Vec<Revision>, u32) {
    let app = app(&format!("shop-{number}"));
    rivals[0].store.create(&app, &ports()).await.unwrap();
    let (mut revisions, mut lost) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let sleeps = round == number % ROUNDS;
        let attempt = |rival| attempt(rival, &app, round, sleeps);
        let (one, other) = join(attempt(&rivals[0]), attempt(&rivals[1])).await;
        assert!(
            one.is_some() || other.is_some(),
            "nobody promoted in round {round} of {app}"
        );
        lost += u32::from(one.is_none() || other.is_none());
        revisions.extend(one);
        revisions.extend(other);
    }
    (revisions, lost)
}

/// Acquires the lease, plans and promotes; the revision that was promoted on, `None` for the one that came too late.
async fn attempt(rival: &Rival, app: &AppName, round: u32, sleeps: bool) -> Option<Revision> {
    let Rival { name, store } = rival;
    let by = lease(&format!("{name}/{round:04}"));
    let since = Instant::now();
    let mut was_busy = false;
    let (held, stored) = loop {
        match store.acquire(app, &by, &host(name)).await {
            Ok(acquired) => break acquired,
            Err(LeaseError::HeldBy(other)) => {
                let other = other.lease;
                assert!(
                    other.by != by.by && other.by.starts_with("web") && other.since == by.since,
                    "{other}"
                );
                was_busy = true;
                if !sleeps {
                    return None;
                }
                assert!(since.elapsed() < FREE, "the lease of the one that sleeps is not free");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(LeaseError::Failed(error)) => panic!("{error:#}"),
        }
    };
    let expected = stored.unwrap().revision;
    if sleeps && !was_busy {
        tokio::time::sleep(LEASE_TTL + LEASE_TTL / 2).await;
    }
    promote(rival, app, round, expected, held).await.then_some(expected)
}

async fn promote(rival: &Rival, app: &AppName, round: u32, expected: Revision, held: HeldLease) -> bool {
    let cursor = active(Color::Green, round);
    let ports = ports();
    let set = rival
        .store
        .compare_and_set_held(app, &ports, expected, &cursor, held)
        .await;
    let is_promoted = match set {
        Ok(_) => true,
        Err(SetError::Conflict(_) | SetError::LeaseLost(_)) => false,
        Err(error) => panic!("{error}"),
    };
    rival.store.release(held).await.unwrap();
    is_promoted
}

/// A host that has lost its lease does not move the cursor, also where no other moved it.
#[tokio::test]
async fn lease_that_expired_moves_nothing() {
    let etcd = Etcd::start("ended", "");
    let (one, other) = (
        open(etcd.settings()).await.unwrap(),
        open(etcd.settings()).await.unwrap(),
    );
    let (name, ports) = (app("shop"), ports());
    let expected = one.create(&name, &ports).await.unwrap().revision;
    let (held, _) = one.acquire(&name, &lease("web1/0001"), &host("web1")).await.unwrap();
    one.release(held).await.unwrap();
    assert!(!one.renew(held).await.unwrap());
    let set = async || {
        one.compare_and_set_held(&name, &ports, expected, &active(Color::Blue, 1), held)
            .await
    };
    assert!(matches!(set().await, Err(SetError::LeaseLost(None))));

    other.acquire(&name, &lease("web2/0001"), &host("web2")).await.unwrap();
    let lost = set().await;
    assert!(
        matches!(&lost, Err(SetError::LeaseLost(Some(by))) if by.lease.by == "web2/0001"),
        "{lost:?}"
    );
    let taken = one.acquire(&name, &lease("web1/0002"), &host("web1")).await;
    assert!(
        matches!(&taken, Err(LeaseError::HeldBy(by)) if by.lease.by == "web2/0001"),
        "{taken:?}"
    );
    assert_eq!(one.held(&name, &lease("web1/0001")).await.unwrap(), None);

    // What a person copied there has no lease.
    let mut client = etcd_client::Client::connect([etcd.address()], None).await.unwrap();
    let copy = serde_json::to_vec(&lease("web2/0001")).unwrap();
    client.put("/shop/claim", copy, None).await.unwrap();
    let endless = one
        .acquire(&name, &lease("web1/0003"), &host("web1"))
        .await
        .unwrap_err();
    insta::assert_snapshot!(endless, @"cannot hold the lease: it is held by web2/0001 (switch to r7) since 2026-11-23T14:00:00Z; key /shop/claim has no etcd lease attached, so it never expires");
    // Of the same host it is replaced.
    let (held, _) = other.acquire(&name, &lease("web2/0001"), &host("web2")).await.unwrap();
    assert!(other.renew(held).await.unwrap());
    other.release(held).await.unwrap();
    assert_eq!(etcd.etcdctl("get /shop/claim"), "");

    // What a person wrote there is not taken for a lease.
    etcd.etcdctl("put /shop/claim mine");
    let LeaseError::Failed(error) = one
        .acquire(&name, &lease("web1/0003"), &host("web1"))
        .await
        .unwrap_err()
    else {
        panic!("it was acquired");
    };
    insta::assert_snapshot!(super::told(&etcd, error), @"
    cannot tell who holds the lease of shop: key /shop/claim in etcd: expected value at line 1 column 1
    hint: no bgctl wrote that; if nobody needs it: etcdctl del /shop/claim
    ");
}
