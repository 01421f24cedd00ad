use super::*;

fn app() -> AppName {
    AppName::parse("shop").unwrap()
}

fn ports() -> ByColor<Port> {
    ByColor {
        blue: Port::new(9001).unwrap(),
        green: Port::new(9002).unwrap(),
    }
}

fn green() -> Cursor {
    Cursor {
        active: Some(Color::Green),
        release: Some(ReleaseId::numbered(2)),
        moved_by: Some("host/0002".to_owned()),
    }
}

/// Keys as etcd would have them; below, what hands did to them.
#[derive(Clone)]
struct Etcd {
    keys: Keys,
    pairs: Vec<(String, String, i64, i64)>,
}

impl Etcd {
    /// A record that was created at revision 3 and moved at revision 7.
    fn written(cursor: &Cursor) -> Self {
        let keys = Keys::below("/");
        let pairs = keys.write(&app(), ports(), cursor);
        let pairs = pairs.into_iter().map(|(key, value)| (key, value, 3, 7)).collect();
        Self { keys, pairs }
    }

    fn empty() -> Self {
        Self {
            keys: Keys::below("/"),
            pairs: Vec::new(),
        }
    }

    fn delete(mut self, name: &str) -> Self {
        let key = self.keys.record(&app()) + name;
        self.pairs.retain(|pair| pair.0 != key);
        self
    }

    /// `etcdctl put`, at a revision of its own.
    fn put(mut self, name: &str, value: &str) -> Self {
        let revision =
            8 + i64::try_from(self.pairs.len()).unwrap() + self.pairs.iter().map(|pair| pair.3).max().unwrap_or(0);
        let key = self.keys.record(&app()) + name;
        match self.pairs.iter_mut().find(|pair| pair.0 == key) {
            Some(pair) => (pair.1, pair.3) = (value.to_owned(), revision),
            None => self.pairs.push((key, value.to_owned(), revision, revision)),
        }
        self
    }

    fn found(&self) -> Found {
        let pairs = self.pairs.iter().map(|(name, value, created, modified)| Key {
            name: name.as_bytes(),
            value: value.as_bytes(),
            created: *created,
            modified: *modified,
        });
        Found::of(&self.keys, &app(), pairs)
    }

    /// The cursor and its revision, or the error.
    fn read(&self) -> Result<Option<(Cursor, i64)>, String> {
        self.keys
            .read(&app(), &self.found())
            .map_err(|error| format!("{error:#}"))
    }

    /// The names that bgctl would delete.
    fn deleted(&self) -> usize {
        self.found().split(&self.keys, &app()).0.len()
    }
}

fn shown(cursor: &Cursor) -> String {
    let mut lines: Vec<_> = Etcd::written(cursor)
        .pairs
        .into_iter()
        .map(|(key, value, ..)| format!("{key} {value:?}"))
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn layout_is_for_anyone_to_read() {
    insta::assert_snapshot!(shown(&Cursor::default()), @r#"
    /shop/blue/port "9001"
    /shop/blue/status "idle"
    /shop/blue/url "http://127.0.0.1:9001"
    /shop/green/port "9002"
    /shop/green/status "idle"
    /shop/green/url "http://127.0.0.1:9002"
    /shop/instance "none"
    /shop/moved-by ""
    /shop/port "0"
    /shop/release ""
    /shop/url ""
    "#);
    insta::assert_snapshot!(shown(&green()), @r#"
    /shop/blue/port "9001"
    /shop/blue/status "idle"
    /shop/blue/url "http://127.0.0.1:9001"
    /shop/green/port "9002"
    /shop/green/status "active"
    /shop/green/url "http://127.0.0.1:9002"
    /shop/instance "green"
    /shop/moved-by "host/0002"
    /shop/port "9002"
    /shop/release "r2"
    /shop/url "http://127.0.0.1:9002"
    "#);
}

#[test]
fn record_is_read_as_it_was_written_and_deleted_whole() {
    for cursor in [Cursor::default(), green()] {
        let etcd = Etcd::written(&cursor);
        let mut written: Vec<_> = etcd.pairs.iter().map(|pair| pair.0.clone()).collect();
        let mut all: Vec<_> = etcd.keys.all(&app()).collect();
        written.sort();
        all.sort();
        assert_eq!(written, all);
        assert_eq!(etcd.read(), Ok(Some((cursor, 7))));
        assert_eq!(etcd.deleted(), 11);
    }
    assert_eq!(Etcd::empty().read(), Ok(None));
}

#[test]
fn record_is_of_another_program_where_little_of_it_is_there() {
    let one = Etcd::empty().put("url", "http://shop.example");
    insta::assert_snapshot!(one.read().unwrap_err(), @"cannot keep a cursor of shop below / in etcd: key /shop/url belongs to another program");
    // As the article starts: two keys by hand. And a program that writes several at once.
    let two = Etcd::empty().put("instance", "none").put("port", "9000");
    insta::assert_snapshot!(two.read().unwrap_err(), @"cannot keep a cursor of shop below / in etcd: keys /shop/instance, /shop/port belong to another program");
    let mut at_once = Etcd::written(&green());
    at_once
        .pairs
        .retain(|pair| ["/shop/instance", "/shop/port", "/shop/url", "/shop/release"].contains(&pair.0.as_str()));
    assert!(at_once.read().unwrap_err().ends_with("belong to another program"));
    for etcd in [one, two, at_once] {
        assert_eq!(etcd.deleted(), 0);
    }
}

#[test]
fn key_that_is_not_of_the_record_is_nobodys_business() {
    let mut etcd = Etcd::written(&green());
    for key in [
        "/shop/claim",
        "/shop/colour",
        "/shop/blue/weight",
        "/shop",
        "/shop/",
        "/Shop/instance",
        "/shop2/instance",
    ] {
        etcd.pairs.push((key.to_owned(), "x".repeat(1 << 20), 1, 1));
    }
    assert_eq!(etcd.read(), Ok(Some((green(), 7))));
    assert_eq!(etcd.deleted(), 11);
}

#[test]
fn value_that_is_not_valid_is_named_by_its_key() {
    let whole = Etcd::written(&green());
    let error = |etcd: Etcd| etcd.read().unwrap_err();
    insta::assert_snapshot!(error(whole.clone().put("instance", "purple")), @r#"cannot use the cursor of shop in etcd: key /shop/instance: cannot use "purple" as a color: it is not blue, green or none"#);
    insta::assert_snapshot!(error(whole.clone().put("release", "../x")), @r#"cannot use the cursor of shop in etcd: key /shop/release: cannot use "../x" as the name of a release: it must start with a letter or digit"#);
    insta::assert_snapshot!(error(whole.clone().delete("release")), @"cannot use the cursor of shop in etcd: key /shop/release: it is missing");
    insta::assert_snapshot!(error(whole.delete("instance")), @"cannot use the cursor of shop in etcd: key /shop/instance: it is missing");
}

#[test]
fn record_that_hands_changed_is_still_known() {
    let whole = Etcd::written(&green());
    // `put` keeps the revision that a key was created at.
    let edited = whole.clone().put("instance", "blue").put("port", "1").put("url", "");
    assert_eq!(
        edited.read().unwrap().map(|(cursor, _)| cursor.active),
        Some(Some(Color::Blue))
    );
    assert_eq!(edited.deleted(), 11);
    let parts = whole
        .clone()
        .delete("moved-by")
        .delete("blue/port")
        .delete("blue/url")
        .delete("blue/status");
    assert!(parts.read().unwrap_err().ends_with("/shop/moved-by: it is missing"));
    assert_eq!(parts.deleted(), 7);
    // Copied one by one from another etcd.
    let copied = whole.pairs.iter().fold(Etcd::empty(), |etcd, (key, value, ..)| {
        etcd.put(key.strip_prefix("/shop/").unwrap(), value)
    });
    assert_eq!(copied.read().unwrap().map(|(cursor, _)| cursor), Some(green()));
    assert_eq!(copied.deleted(), 11);
    // Neither created nor last written with the rest.
    let foreign = whole.delete("url").put("url", "http://shop.example");
    assert_eq!(foreign.read().unwrap().map(|(cursor, _)| cursor), Some(green()));
    assert_eq!(foreign.found().split(&foreign.keys, &app()).1, ["/shop/url"]);
}

#[test]
fn revisions_are_of_all_keys_also_those_that_are_not_there() {
    let etcd = Etcd::written(&green()).delete("url");
    let revisions = etcd.found().revisions(&etcd.keys, &app());
    assert_eq!(revisions.len(), 11);
    for (key, revision) in revisions {
        assert_eq!(revision, if key == "/shop/url" { 0 } else { 7 }, "{key}");
    }
}

#[test]
fn readme_has_every_key() {
    let readme = include_str!("../README.md");
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let keys = Keys::below("/");
    for key in keys.all(&app()).chain([keys.lease(&app())]) {
        let name = key
            .trim_start_matches("/shop/")
            .replace("blue", "COLOR")
            .replace("green", "COLOR");
        assert!(rows.iter().any(|row| row.contains(&format!("`{name}`"))), "{name}");
    }
}
