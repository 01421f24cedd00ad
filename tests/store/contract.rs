//! What every store promises. Each function gets a store of its own, without cursors.

use bgctl::model::{AppName, ByColor, Color, Cursor, HostId, Lease, Port, ReleaseId, Revision, Stored};
use bgctl::store::{SetError, Store};

pub fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

pub fn ports() -> ByColor<Port> {
    ByColor {
        blue: Port::new(9001).unwrap(),
        green: Port::new(9002).unwrap(),
    }
}

pub fn active(color: Color, number: u32) -> Cursor {
    Cursor {
        active: Some(color),
        release: Some(ReleaseId::numbered(number)),
        moved_by: Some(format!("host/{number:04}")),
    }
}

/// The host of `host/0007`, which an earlier bgctl called `old`.
pub fn host() -> HostId {
    HostId {
        id: "host".to_owned(),
        earlier: "old".to_owned(),
    }
}

pub fn lease(by: &str) -> Lease {
    Lease {
        by: by.to_owned(),
        verb: "switch".to_owned(),
        release: Some(ReleaseId::numbered(7)),
        since: "2026-11-23T14:00:00Z".parse().unwrap(),
    }
}

/// Runs the whole contract, each part on a store that `open` makes.
pub async fn holds(open: impl AsyncFn() -> Store) {
    nothing_is_there(&open().await).await;
    create_is_idempotent(&open().await).await;
    a_move_wins_or_loses(&open().await).await;
    a_move_can_be_rolled_back(&open().await).await;
    one_of_many_wins(&open().await).await;
    remove_is_idempotent(&open().await).await;
    list_has_those_asked_for(&open().await).await;
    lease_is_held_until_it_is_released(&open().await).await;
}

async fn nothing_is_there(store: &Store) {
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
    assert!(store.list(&[app("shop")]).await.unwrap().is_empty());
    let set = store
        .compare_and_set(&app("shop"), &ports(), Revision(1), &active(Color::Blue, 1))
        .await;
    assert!(matches!(set, Err(SetError::Conflict(None))), "{set:?}");
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
}

async fn create_is_idempotent(store: &Store) {
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    assert_eq!(created.cursor, Cursor::default());
    assert_eq!(store.create(&app("shop"), &ports()).await.unwrap(), created);
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(created.clone()));
    let cursor = active(Color::Green, 7);
    let revision = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &cursor)
        .await
        .unwrap();
    assert_eq!(
        store.create(&app("shop"), &ports()).await.unwrap(),
        Stored { cursor, revision }
    );
}

async fn a_move_wins_or_loses(store: &Store) {
    let first = store.create(&app("shop"), &ports()).await.unwrap().revision;
    let cursor = active(Color::Blue, 1);
    let second = store
        .compare_and_set(&app("shop"), &ports(), first, &cursor)
        .await
        .unwrap();
    assert!(second > first);
    let stale = store
        .compare_and_set(&app("shop"), &ports(), first, &active(Color::Green, 2))
        .await;
    let there = Stored {
        cursor,
        revision: second,
    };
    assert!(
        matches!(&stale, Err(SetError::Conflict(Some(found))) if *found == there),
        "{stale:?}"
    );
    assert_eq!(store.get(&app("shop")).await.unwrap(), Some(there.clone()));
    // The same again is a change of its own.
    let third = store
        .compare_and_set(&app("shop"), &ports(), second, &there.cursor)
        .await
        .unwrap();
    assert!(third > second);
}

async fn a_move_can_be_rolled_back(store: &Store) {
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let moved = active(Color::Blue, 1);
    let revision = store
        .compare_and_set(&app("shop"), &ports(), created.revision, &moved)
        .await
        .unwrap();
    let back = Cursor {
        moved_by: Some("host/0001".to_owned()),
        ..created.cursor
    };
    store
        .compare_and_set(&app("shop"), &ports(), revision, &back)
        .await
        .unwrap();
    assert_eq!(store.get(&app("shop")).await.unwrap().unwrap().cursor, back);
}

/// Eight at once try to move the same cursor, again and again: of those that decided on the same revision one wins.
async fn one_of_many_wins(store: &Store) {
    const WRITERS: u32 = 8;
    const MOVES: u32 = 10;
    store.create(&app("shop"), &ports()).await.unwrap();
    let writers = (0..WRITERS).map(|writer| async move {
        let mut won = Vec::new();
        while won.len() < MOVES as usize {
            let decided_on = store.get(&app("shop")).await.unwrap().unwrap().revision;
            let cursor = active(Color::Blue, writer);
            match store.compare_and_set(&app("shop"), &ports(), decided_on, &cursor).await {
                Ok(revision) => won.push((decided_on, revision)),
                Err(SetError::Conflict(Some(found))) => assert!(found.revision > decided_on),
                Err(error) => panic!("{error}"),
            }
        }
        won
    });
    let mut won = futures_util::future::join_all(writers).await.concat();
    won.sort();
    assert_eq!(won.len(), (WRITERS * MOVES) as usize);
    for pair in won.windows(2) {
        assert!(pair[0].0 < pair[1].0, "two won on the same revision: {pair:?}");
        assert!(pair[0].1 <= pair[1].0, "one won on a revision that was gone: {pair:?}");
    }
    let last = store.get(&app("shop")).await.unwrap().unwrap().revision;
    assert_eq!(Some(last), won.last().map(|(_, revision)| *revision));
}

async fn remove_is_idempotent(store: &Store) {
    store.remove(&app("shop")).await.unwrap();
    store.create(&app("shop"), &ports()).await.unwrap();
    store.create(&app("shop-two"), &ports()).await.unwrap();
    store.remove(&app("shop")).await.unwrap();
    store.remove(&app("shop")).await.unwrap();
    assert_eq!(store.get(&app("shop")).await.unwrap(), None);
    assert!(store.get(&app("shop-two")).await.unwrap().is_some());
    store.create(&app("shop"), &ports()).await.unwrap();
}

async fn list_has_those_asked_for(store: &Store) {
    let names = ["a", "shop", "shop-two", "z9"];
    for name in names {
        let created = store.create(&app(name), &ports()).await.unwrap();
        store
            .compare_and_set(&app(name), &ports(), created.revision, &active(Color::Green, 3))
            .await
            .unwrap();
    }
    let asked = ["a", "none", "shop", "shop-two"].map(app);
    let listed = store.list(&asked).await.unwrap();
    assert_eq!(
        listed.keys().map(AppName::as_str).collect::<Vec<_>>(),
        ["a", "shop", "shop-two"]
    );
    for (name, stored) in listed {
        assert_eq!(store.get(&name).await.unwrap(), Some(stored.unwrap()));
    }
}

/// Whoever acquires it has it, and sees the cursor of that moment; again as the same, and after a switch of the same host; a cursor
/// is moved by who holds it. Its end can be asked for twice.
async fn lease_is_held_until_it_is_released(store: &Store) {
    let (held, none) = store.acquire(&app("shop"), &lease("host/0007"), &host()).await.unwrap();
    assert_eq!(none, None);
    let created = store.create(&app("shop"), &ports()).await.unwrap();
    let (again, found) = store.acquire(&app("shop"), &lease("host/0007"), &host()).await.unwrap();
    assert_eq!((again, found), (held, Some(created.clone())));
    assert_eq!(store.held(&app("shop"), &lease("host/0007")).await.unwrap(), Some(held));
    assert!(store.renew(held).await.unwrap());

    let cursor = active(Color::Green, 7);
    let (name, ports) = (app("shop"), ports());
    let set = async || {
        store
            .compare_and_set_held(&name, &ports, created.revision, &cursor, held)
            .await
    };
    let revision = set().await.unwrap();
    let stale = set().await;
    assert!(
        matches!(&stale, Err(SetError::Conflict(Some(now))) if now.revision == revision),
        "{stale:?}"
    );

    let (next, found) = store.acquire(&app("shop"), &lease("host/0008"), &host()).await.unwrap();
    assert_eq!(found, Some(Stored { cursor, revision }));
    for _ in 0..2 {
        store.release(held).await.unwrap();
    }
    assert!(
        store.renew(next).await.unwrap(),
        "the end of the first is not the end of the second"
    );
    store.release(next).await.unwrap();
    // An upgrade in the middle of a switch: what this host held before is its own.
    store.acquire(&app("shop"), &lease("old/0008"), &host()).await.unwrap();
    store.acquire(&app("shop"), &lease("host/0009"), &host()).await.unwrap();
    assert!(store.is_usable().await);
}
