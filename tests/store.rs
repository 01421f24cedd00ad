//! The local store. `tests/system/store.rs` holds etcd to the same contract.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "store/contract.rs"]
mod contract;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use bgctl::model::{Color, Cursor, Hinted, Revision, StateError, StoreSettings};
use bgctl::store::{SetError, Store};
use camino::Utf8PathBuf;
use contract::{active, app, ports};
use tempfile::TempDir;

struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()
    }

    async fn store(&self) -> Store {
        Store::open(&StoreSettings::Local, &self.path("state")).await.unwrap()
    }
}

#[test]
fn readme_shows_settings_that_are_settings() {
    let readme = include_str!("../src/store/README.md");
    let (block, _) = readme.split_once("```toml").unwrap().1.split_once("```").unwrap();
    let settings = bgctl::config::settings::parse(block, "README.md").unwrap();
    assert!(matches!(settings.store, StoreSettings::Etcd(etcd) if etcd.prefix == "/bgctl/" && etcd.client.is_some()));
}

#[tokio::test]
async fn contract_holds() {
    let folders = std::sync::Mutex::new(Vec::new());
    contract::holds(async || {
        let folder = Folder::new();
        let store = folder.store().await;
        folders.lock().unwrap().push(folder);
        store
    })
    .await;
}

#[tokio::test]
async fn person_can_read_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.create(&app("shop"), &ports()).await.unwrap();
    store
        .compare_and_set(&app("shop"), &ports(), Revision(1), &active(Color::Green, 2))
        .await
        .unwrap();
    let path = folder.path("state/shop/cursor.json");
    insta::assert_snapshot!(fs_err::read_to_string(&path).unwrap(), @r#"
    {
      "version": 2,
      "active": "green",
      "release": "r2",
      "moved_by": "host/0002",
      "revision": 2,
      "ports": {
        "blue": 9001,
        "green": 9002
      },
      "sum": "8a9116741afe2efd"
    }
    "#);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let names: Vec<_> = fs_err::read_dir(folder.path("state/shop"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["cursor.json"]);
}

#[tokio::test]
async fn broken_cursor_is_named_and_kept() {
    let folder = Folder::new();
    let store = folder.store().await;
    let path = folder.path("state/shop/cursor.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    for text in [
        "",
        "{",
        "{\"active\":\"purple\",\"revision\":1,\"ports\":{\"blue\":1,\"green\":2}}",
        "{\"active\":null}",
        "\u{0}",
    ] {
        fs_err::write(&path, text).unwrap();
        let failures = [
            store.get(&app("shop")).await.map(drop).unwrap_err(),
            store
                .list(&[app("shop")])
                .await
                .unwrap()
                .remove(&app("shop"))
                .unwrap()
                .unwrap_err(),
            store.create(&app("shop"), &ports()).await.map(drop).unwrap_err().into(),
        ];
        for failure in failures {
            assert!(
                format!("{failure:#}").starts_with(&format!("cannot use {path}: ")),
                "{failure:#}"
            );
            assert!(Hinted::find(&failure.into()).is_some());
        }
        let set = store
            .compare_and_set(&app("shop"), &ports(), Revision(1), &Cursor::default())
            .await;
        assert!(matches!(set, Err(SetError::Refused(_))), "{set:?}");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
    }
}

/// A switch that is stuck may expect any revision that was ever given.
#[tokio::test]
async fn revision_of_a_replaced_cursor_is_a_new_one() {
    let folder = Folder::new();
    let store = folder.store().await;
    let path = folder.path("state/shop/cursor.json");
    store.create(&app("shop"), &ports()).await.unwrap();
    let mut given = vec![Revision(1)];
    for _ in 0..20 {
        fs_err::write(&path, "").unwrap();
        let cursor = active(Color::Green, 2);
        let mut last = store.replace(&app("shop"), &ports(), &cursor).await.unwrap();
        assert!(Some(&last) > given.iter().max(), "{last} after {given:?}");
        for _ in 0..20 {
            given.push(last);
            last = store
                .compare_and_set(&app("shop"), &ports(), last, &cursor)
                .await
                .unwrap();
        }
        given.push(last);
    }
}

/// A disk that cannot be read says nothing of what is on it.
#[tokio::test]
async fn error_of_the_disk_is_no_damage() {
    let folder = Folder::new();
    let store = folder.store().await;
    let path = folder.path("state/shop/cursor.json");
    // read(2): EISDIR.
    fs_err::create_dir_all(&path).unwrap();
    let failure = store.get(&app("shop")).await.unwrap_err();
    assert!(
        format!("{failure:#}").starts_with(&format!("cannot read {path}: ")),
        "{failure:#}"
    );
    assert!(matches!(failure, StateError::Failed(_)), "{failure:?}");
    let replaced = store.replace(&app("shop"), &ports(), &Cursor::default()).await;
    assert!(matches!(replaced, Err(SetError::Refused(_))), "{replaced:?}");
    fs_err::remove_dir(&path).unwrap();

    fs_err::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    let failure = store.get(&app("shop")).await.unwrap_err();
    assert!(matches!(failure, StateError::Damaged(_)), "{failure:?}");
}

#[tokio::test]
async fn user_that_cannot_write_is_told() {
    let folder = Folder::new();
    fs_err::write(folder.path("state"), "a file").unwrap();
    let failure = folder.store().await.create(&app("shop"), &ports()).await.unwrap_err();
    assert!(
        format!("{failure:#}").starts_with("cannot create the cursor: "),
        "{failure:#}"
    );
}

/// The lock is one between processes: while another one holds it nothing is written, and nothing hangs.
#[tokio::test]
async fn other_processes_are_waited_for() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.create(&app("shop"), &ports()).await.unwrap();
    let mut other = Command::new("flock")
        .args([folder.path("state/shop").as_str(), "sh", "-c", "echo locked; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut said).unwrap();

    let set = async || {
        store
            .compare_and_set(&app("shop"), &ports(), Revision(1), &active(Color::Blue, 1))
            .await
    };
    let start = Instant::now();
    let refused = set().await.unwrap_err();
    assert!(refused.to_string().starts_with("cannot lock "), "{refused}");
    assert!((4..10).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(store.get(&app("shop")).await.unwrap().unwrap().revision, Revision(1));

    let waiting = set();
    let release = async {
        tokio::task::yield_now().await;
        drop(other.stdin.take());
        other.wait().unwrap();
    };
    let (moved, ()) = tokio::join!(waiting, release);
    assert_eq!(moved.unwrap(), Revision(2));
}

#[tokio::test]
async fn thousand_apps_are_listed_fast() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.create(&app("a0"), &ports()).await.unwrap();
    let text = fs_err::read(folder.path("state/a0/cursor.json")).unwrap();
    let apps: Vec<_> = (0..1000).map(|number| app(&format!("a{number}"))).collect();
    for number in 1..1000 {
        let path = folder.path(&format!("state/a{number}"));
        fs_err::create_dir(&path).unwrap();
        fs_err::write(path.join("cursor.json"), &text).unwrap();
    }
    let start = Instant::now();
    assert_eq!(store.list(&apps).await.unwrap().len(), 1000);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
