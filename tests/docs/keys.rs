//! The keys, defaults and examples of the manifest's and the settings' manual pages.

use std::collections::BTreeSet;

use bgctl::config::{ConfigError, manifest, settings};
use toml::{Table, Value};

/// A parser that shows what it made of a text.
type Parse = fn(&str) -> Result<String, ConfigError>;

fn parse_manifest(text: &str) -> Result<String, ConfigError> {
    manifest::parse(text, "APP.toml").map(|app| format!("{app:?}"))
}

fn parse_settings(text: &str) -> Result<String, ConfigError> {
    settings::parse(text, "bgctl.toml").map(|settings| format!("{settings:?}"))
}

/// The two pages.
fn pages() -> [(String, Parse); 2] {
    [
        (crate::read("docs/man/bgctl-manifest.5.md"), parse_manifest),
        (crate::read("docs/man/bgctl.toml.5.md"), parse_settings),
    ]
}

/// What a page says of one key.
struct Key<'a> {
    /// Its table of TOML; empty for the top level.
    table: &'a str,
    name: &'a str,
    /// As TOML, `required`, or nothing.
    default: &'a str,
}

fn keys(page: &str) -> Vec<Key<'_>> {
    let mut keys = Vec::new();
    for section in page.split("\n## ") {
        let heading = section.lines().next().unwrap();
        let table = heading
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or_default();
        let tables = section
            .split("| key | default | meaning |")
            .skip(1)
            .filter_map(|text| text.split("\n\n").next());
        for row in tables.flat_map(|text| text.lines().skip(2)) {
            let cells: Vec<_> = row.trim_matches('|').splitn(3, " |").map(str::trim).collect();
            assert_eq!(cells.len(), 3, "{row}");
            keys.push(Key {
                table,
                name: cells[0].trim_matches('`'),
                default: cells[1],
            });
        }
    }
    assert!(!keys.is_empty());
    keys
}

/// The keys that a parser knows in a table, by what it says about one that is none.
fn known(parse: Parse, table: &str) -> BTreeSet<String> {
    let header = if table.is_empty() {
        String::new()
    } else {
        format!("[{table}]\n")
    };
    let error = parse(&format!("{header}zzzzzzzzzzzzzzzzzzzzzzzz = 1\n")).unwrap_err();
    let (_, keys) = error.message().split_once("the keys here are ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn pages_name_every_key_and_no_other() {
    for (page, parse) in pages() {
        let keys = keys(&page);
        let tables: BTreeSet<_> = keys
            .iter()
            .map(|key| key.table)
            .filter(|table| !table.is_empty())
            .collect();
        let names = |table: &str| -> Vec<_> {
            let of = keys.iter().filter(|key| key.table == table);
            of.map(|key| key.name.to_owned()).collect()
        };
        let mut top = names("");
        // Tables below others are keys of these.
        let is_top = |table: &&&str| !table.contains('.');
        top.extend(
            tables
                .iter()
                .filter(is_top)
                .map(|table| table.trim_matches(['[', ']']).to_owned()),
        );
        assert_eq!(BTreeSet::from_iter(top), known(parse, ""));
        for table in tables {
            let names = names(table);
            let set: BTreeSet<_> = names.iter().cloned().collect();
            assert_eq!(set.len(), names.len(), "[{table}] names a key twice");
            assert_eq!(set, known(parse, table), "[{table}]");
        }
    }
}

/// Texts that leave out what has a default, for each parser.
const BASES: [&str; 9] = [
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n[[companion]]\nname = \"worker\"\n[[nginx.listen]]\naddress = \"80\"\n[[nginx.location]]\npath = \"/events\"\n",
    "name = \"app\"\n[run]\nimage = \"registry.example/app\"\ncontainer_port = 8080\n",
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n",
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n[health]\npath = \"/\"\n",
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n[[verify]]\npath = \"/\"\n",
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n[[verify]]\ncommand = \"true\"\n",
    "name = \"app\"\n[run]\nexec = \"/opt/app\"\n[switch]\nstrategy = \"stop-first\"\nhold = \"10s\"\n",
    "",
    "[store]\nendpoints = [\"http://127.0.0.1:2379\"]\n",
];

/// The table of that name, made where it is not there; `None` where another kind of value is.
fn table_of<'a>(root: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    if name.is_empty() {
        return Some(root);
    }
    if let Some(name) = name.strip_prefix('[') {
        let name = name.trim_end_matches(']');
        let (table, list) = name.split_once('.').unwrap_or(("", name));
        let one = || Value::Array(vec![Value::Table(Table::new())]);
        let list = table_of(root, table)?.entry(list).or_insert_with(one);
        return list.as_array_mut()?[0].as_table_mut();
    }
    let table = root.entry(name).or_insert_with(|| Value::Table(Table::new()));
    table.as_table_mut()
}

/// A base with one key set, or removed; `None` where its table has another form there.
fn with(base: &str, key: &Key<'_>, value: Option<Value>) -> Option<String> {
    let mut root: Table = toml::from_str(base).unwrap();
    let table = table_of(&mut root, key.table)?;
    match value {
        Some(value) => table.insert(key.name.to_owned(), value),
        None => table.remove(key.name),
    };
    Some(toml::to_string(&root).unwrap())
}

#[test]
fn defaults_are_those_of_the_program() {
    for (page, parse) in pages() {
        let bases = BASES.iter().filter_map(|base| Some((*base, parse(base).ok()?)));
        let bases: Vec<_> = bases.collect();
        for key in keys(&page) {
            let (table, name) = (key.table, key.name);
            if key.default == "required" {
                let mut lacking = bases
                    .iter()
                    .filter_map(|(base, _)| Some((base, with(base, &key, None)?)))
                    .filter(|(base, text)| toml::from_str::<Table>(base).unwrap() != toml::from_str(text).unwrap())
                    .peekable();
                assert!(lacking.peek().is_some(), "[{table}] {name}: no text has it");
                for (_, text) in lacking {
                    assert!(parse(&text).is_err(), "[{table}] {name} is not required:\n{text}");
                }
            } else if !key.default.is_empty() {
                let value = key.default.trim_matches('`').replace("APP", "app");
                let value: Table = toml::from_str(&format!("value = {value}")).unwrap();
                let set = |base: &str| with(base, &key, Some(value["value"].clone()));
                let same = bases.iter();
                let same = same.filter_map(|(base, made)| Some((made, parse(&set(base)?).ok()?)));
                let same: Vec<_> = same.collect();
                assert!(!same.is_empty(), "[{table}] {name}: its default cannot be written");
                for (left_out, written) in same {
                    assert_eq!(*left_out, written, "[{table}] {name}");
                }
            }
        }
    }
}

/// The keys that a text of TOML sets, as `TABLE.KEY`.
fn set_in(text: &str) -> BTreeSet<String> {
    let root: Table = toml::from_str(text).unwrap();
    let mut keys = BTreeSet::new();
    for (name, value) in &root {
        match value {
            Value::Table(table) => {
                keys.extend(table.keys().map(|key| format!("{name}.{key}")));
                for (list, value) in table {
                    let tables = value.as_array().into_iter().flatten().filter_map(Value::as_table);
                    keys.extend(tables.flat_map(|each| each.keys().map(|key| format!("[{name}.{list}].{key}"))));
                }
            }
            Value::Array(tables) => {
                let tables = tables.iter().filter_map(Value::as_table);
                keys.extend(tables.flat_map(|each| each.keys().map(|key| format!("[{name}].{key}"))));
            }
            _ => drop(keys.insert(format!(".{name}"))),
        }
    }
    keys
}

#[test]
fn examples_are_valid_and_show_every_key() {
    for (page, parse) in pages() {
        let mut shown = BTreeSet::new();
        let toml = crate::blocks(&page)
            .into_iter()
            .filter(|(language, _)| *language == "toml");
        for (_, text) in toml {
            if let Err(error) = parse(text) {
                panic!("{error}");
            }
            shown.extend(set_in(text));
        }
        for Key { table, name, .. } in keys(&page) {
            // The default of the three kinds of check.
            let is_shown = shown.contains(&format!("{table}.{name}")) || (table, name) == ("health", "tcp");
            assert!(is_shown, "no example has [{table}] {name}");
        }
    }
}

#[test]
fn manifests_of_the_repository_are_valid() {
    let readme = crate::read("README.md");
    let blocks = crate::blocks(&readme)
        .into_iter()
        .filter(|(language, _)| *language == "toml");
    let mut texts: Vec<_> = blocks.map(|(_, text)| text.to_owned()).collect();
    assert!(!texts.is_empty(), "the README shows a manifest");
    texts.push(crate::read("vagrant/bdd-assistant.toml"));
    for text in texts {
        if let Err(error) = parse_manifest(&text) {
            panic!("{error}");
        }
    }
}

#[test]
fn settings_in_the_readme_of_the_store_are_valid() {
    let readme = crate::read("src/store/README.md");
    let blocks = crate::blocks(&readme)
        .into_iter()
        .filter(|(language, _)| *language == "toml");
    let texts: Vec<_> = blocks.map(|(_, text)| text).collect();
    assert!(!texts.is_empty(), "it shows settings");
    for text in texts {
        if let Err(error) = parse_settings(text) {
            panic!("{error}");
        }
    }
}
