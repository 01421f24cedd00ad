//! Values made to get out of where they stand.

use proptest::prelude::*;
use toml::{Table, Value};

/// Text of what means something to any of those who read it, and anything else.
pub fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\"",
        "'",
        "\\",
        "\n",
        "\r",
        "\t",
        "\0",
        " ",
        "$",
        "${",
        "}",
        "$$",
        "%",
        "%i",
        "%%",
        "`",
        ";",
        "#",
        "{",
        "=",
        "[Service]",
        "ExecStart=/bin/evil",
        "\\x0a",
        "\\n",
        "$(id)",
        "--",
        "-",
        "../",
        "/",
        "*",
        "<",
        ">",
        "|",
        "&",
        "!",
        "~",
        ":",
        ",",
        "@",
        "\u{c}",
        "\u{1b}[31m",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{202e}",
        "ü",
        "a",
        "B",
        "7",
        "_",
        ".",
        "{port}",
        "***",
    ]);
    let pieces = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => pieces, 1 => any::<String>(), 2 => "[a-zA-Z0-9/._-]{0,12}"]
}

/// A path that has a chance.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "/[a-zA-Z0-9/._@:,~=+-]{0,20}",
        text().prop_map(|text| format!("/{text}"))
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[A-Z_][A-Z0-9_]{0,8}", 1 => text(), 1 => prop::sample::select(vec!["PATH".to_owned(), "LD_PRELOAD".to_owned()])]
}

fn list(item: impl Strategy<Value = String>) -> impl Strategy<Value = Value> {
    prop::collection::vec(item.prop_map(Value::from), 0..4).prop_map(Value::from)
}

fn map(key: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = Value> {
    let table = prop::collection::btree_map(key, value.prop_map(Value::from), 0..4);
    table.prop_map(|map| Value::Table(map.into_iter().collect()))
}

/// A check, with one more key.
fn checks() -> impl Strategy<Value = Value> {
    let text = || text().prop_map(Value::from);
    let asks = prop_oneof![
        path().prop_map(|path| ("path", Value::from(path))),
        text().prop_map(|line| ("command", line))
    ];
    let more = prop_oneof![
        text().prop_map(|value| ("name", value)),
        text().prop_map(|value| ("host", value)),
        text().prop_map(|value| ("method", value)),
        text().prop_map(|value| ("body_contains", value)),
        map("[A-Za-z-]{1,9}", self::text()).prop_map(|value| ("headers", value)),
        map("[A-Za-z-]{1,9}", self::text()).prop_map(|value| ("header", value)),
        map("/?[a-z~/0-9]{0,9}", self::text()).prop_map(|value| ("json", value)),
        any::<i64>().prop_map(|value| ("status", value.into())),
        any::<i64>().prop_map(|value| ("retries", value.into())),
    ];
    (asks, more).prop_map(|(asks, more)| {
        let table = [asks, more].map(|(key, value)| (key.to_owned(), value));
        Value::Array(vec![Value::Table(table.into_iter().collect())])
    })
}

/// What stands at a key of a manifest of either kind.
fn anywhere() -> impl Strategy<Value = (&'static str, Value)> {
    let text = || text().prop_map(Value::from);
    let path = || path().prop_map(Value::from);
    let keyed = |key: &'static str, value: BoxedStrategy<Value>| value.prop_map(move |value| (key, value)).boxed();
    let ends = prop::sample::select(vec!["", "\\", "\\\\", "\\ ", "\t", "#", "%", "\""]);
    let service = ("[A-Z][a-z]{1,4}=[a-z ]{0,3}", ends).prop_map(|(line, end)| line + end);
    let strategies = vec![
        keyed("name", text().boxed()),
        keyed("run.args", list(self::text()).boxed()),
        keyed("run.env", map(name(), self::text()).boxed()),
        keyed("run.env", map(name(), self::text()).boxed()),
        keyed("run.env_file", path().boxed()),
        keyed("run.credentials", map("[a-z._-]{1,9}", self::path()).boxed()),
        keyed("run.service", list(service).boxed()),
        keyed("run.service", list(self::text()).boxed()),
        keyed("health.path", path().boxed()),
        keyed("health.host", text().boxed()),
        keyed("health.headers", map("[A-Za-z-]{1,9}", self::text()).boxed()),
        keyed("health.command", list(self::path()).boxed()),
        keyed("verify.commands", list(self::text()).boxed()),
        keyed("verify", checks().boxed()),
        keyed("nginx.server_name", list("[a-z*._-]{1,9}").boxed()),
        keyed("nginx.server_name", list(self::text()).boxed()),
        keyed("nginx.listen", list("([0-9.]{1,9}:)?[0-9]{1,4}").boxed()),
        keyed("nginx.include", path().boxed()),
        keyed("nginx.error_page", path().boxed()),
        keyed("nginx.empty_page", path().boxed()),
        keyed("nginx.acme_root", path().boxed()),
        keyed("nginx.shared_paths", list(self::path()).boxed()),
        keyed("nginx.shared_paths", list(self::text()).boxed()),
        keyed("nginx.trusted_proxies", list("[0-9a-f.:/]{1,12}").boxed()),
        keyed("nginx.certificate", path().boxed()),
        keyed("nginx.certificate_key", path().boxed()),
    ];
    prop::strategy::Union::new(strategies)
}

fn of_an_image() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        text().prop_map(|text| ("run.image", text.into())),
        list(prop_oneof![text(), text().prop_map(|text| format!("/srv:/{text}"))])
            .prop_map(|list| ("run.volumes", list)),
        list(text().prop_map(|text| format!("--ulimit={text}"))).prop_map(|list| ("run.docker_options", list)),
    ]
}

fn of_a_program() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        path().prop_map(|path| ("run.exec", path.into())),
        path().prop_map(|path| ("run.working_directory", path.into())),
        any::<bool>().prop_map(|is_kept| ("run.state_directory", is_kept.into())),
    ]
}

fn set(manifest: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(manifest.insert(key.to_owned(), value)),
        Some((table, key)) => {
            let table = manifest.entry(table).or_insert_with(|| Table::new().into());
            // It may be of the other form.
            if let Some(table) = table.as_table_mut() {
                table.insert(key.to_owned(), value);
            }
        }
    }
}

/// A manifest that would do, but for some of its values.
pub fn manifest() -> impl Strategy<Value = String> {
    let image = prop::collection::vec(prop_oneof![anywhere(), of_an_image()], 0..4);
    let program = prop::collection::vec(prop_oneof![anywhere(), of_a_program()], 0..4);
    let image = image.prop_map(|set| ("image = \"shop:1\"\ncontainer_port = 8080", set));
    let program = program.prop_map(|set| ("exec = \"/opt/shop\"", set));
    prop_oneof![image, program].prop_map(|(run, values)| {
        let mut manifest: Table = format!("name = \"shop\"\n[run]\n{run}\n").parse().unwrap();
        for (key, value) in values {
            set(&mut manifest, key, value);
        }
        toml::to_string(&manifest).unwrap()
    })
}

/// A release as JSON, of either kind.
pub fn release() -> impl Strategy<Value = String> {
    let environment = prop::collection::btree_map(name(), text(), 0..5);
    let id = prop_oneof![3 => "[a-zA-Z0-9][a-zA-Z0-9._-]{0,9}".boxed(), 1 => text().boxed()];
    let texts = || prop::collection::vec(text(), 0..4);
    (id, any::<bool>(), path(), texts(), texts(), environment).prop_map(
        |(id, is_image, path, one, two, environment)| {
            let image = serde_json::json!({ "image": {
                "reference": "shop:1", "image": { "local": { "id": format!("sha256:{}", "5a".repeat(32)) } },
                "container_port": 8080, "volumes": two, "memory": null, "options": two, "credentials": true,
            }});
            let artifact = if is_image {
                image
            } else {
                serde_json::json!({ "program": { "path": path } })
            };
            let health = serde_json::json!({ "check": { "http": { "path": path, "expect": 200 } }, "interval": "1s",
            "timeout": "1s", "deadline": "9s", "healthy_for": "0s" });
            serde_json::json!({ "id": id, "created": "2026-01-02T03:04:05Z", "artifact": artifact, "arguments": one,
            "environment": environment, "health": health })
            .to_string()
        },
    )
}

/// Lines that are almost those of an env file.
pub fn env_file() -> impl Strategy<Value = String> {
    let line = (
        name(),
        prop::sample::select(vec!["=", " = ", "=\"", "='", ""]),
        text(),
        prop::sample::select(vec!["\n", "\"\n", "'\n", "\r\n", "\\\n"]),
    );
    let lines = line.prop_map(|(name, is, value, end)| format!("{name}{is}{value}{end}"));
    let lines = prop::collection::vec(lines, 0..5).prop_map(|lines| lines.concat());
    prop_oneof![lines, "(A=[a \\\\\"'=\r\n\t\x0c#$`]{0,4}\n){1,2}"]
}

/// Keys and values of etcd, a line each: a record, of which some values are anything, and what else is there.
pub fn pairs() -> impl Strategy<Value = String> {
    let or_any = |usual: &'static str| prop_oneof![3 => Just(usual.to_owned()), 1 => text(), 1 => Just(String::new())];
    let record = (or_any("blue"), or_any("v1"), or_any("host-0a/0001"), text(), text());
    let lease = (or_any("host-0a/0001"), or_any("switch"), or_any("v1")).prop_map(|(by, verb, release)| {
        serde_json::json!({"by": by, "verb": verb, "release": release, "since": "2026-11-23T14:00:00Z"})
    });
    (record, lease).prop_map(|((instance, release, mover, key, value), lease)| {
        format!(
            "/shop/instance\t{instance}\n/shop/release\t{release}\n/shop/moved-by\t{mover}\n/shop/claim\t{lease}\n\
             {key}\t{value}\n"
        )
    })
}

/// Answers over HTTP.
pub fn answer() -> impl Strategy<Value = String> {
    let starts = ["HTTP/1.1 200 OK", "HTTP/1.0 503 x", "HTTP/1.1 100 x", "HTTP/2 200", "x"];
    let heads = [
        "",
        "content-length: 5\r\n",
        "content-length: 99999999999\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
    ];
    let head = prop_oneof![prop::sample::select(heads.map(str::to_owned).to_vec()), text()];
    let body = prop_oneof![
        text(),
        Just("5\r\ngreen\r\n0\r\n\r\n".to_owned()),
        Just("green".to_owned())
    ];
    (prop::sample::select(starts.to_vec()), head, body)
        .prop_map(|(start, head, body)| format!("{start}\r\n{head}\r\n{body}"))
}

/// References to images.
pub fn image() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        "([a-z.]{1,9}(:[0-9]{1,4})?/){0,2}[a-z._-]{1,9}(:[a-zA-Z0-9._-]{1,9})?(@sha256:[0-9a-f]{64})?"
    ]
}
