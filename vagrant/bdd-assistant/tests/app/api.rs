//! The REST API and the page.

use serde_json::json;

use crate::support::Instance;

#[test]
fn every_answer_says_who_gave_it() {
    let app = Instance::start(&[
        ("BGCTL_RELEASE", "1.5.0"),
        ("BGCTL_COLOR", "green"),
        ("BGCTL_PORT", "9002"),
    ]);
    for path in ["/", "/health", "/api/instance", "/nowhere", "/style.css"] {
        let head = app.get(path).head;
        assert!(
            head.contains("\r\nx-release: 1.5.0") && head.contains("\r\nx-color: green"),
            "{path}: {head}"
        );
    }
    let instance = app.get("/api/instance").json();
    assert_eq!(
        (&instance["release"], &instance["color"], &instance["port"]),
        (&json!("1.5.0"), &json!("green"), &json!(9002))
    );
}

#[test]
fn the_page_shows_the_release_as_text() {
    let app = Instance::start(&[("BGCTL_RELEASE", "<script>1</script>"), ("BGCTL_APP", "\"shop\"")]);
    let page = app.get("/").body;
    assert!(
        page.contains("<h1 id=\"release\">&lt;script&gt;1&lt;/script&gt;</h1>"),
        "{page}"
    );
    assert!(
        page.contains("&quot;shop&quot;") && !page.contains("<script>1"),
        "{page}"
    );
}

#[test]
fn a_story_that_is_added_is_listed_and_read() {
    let app = Instance::start(&[]);
    assert_eq!(app.get("/api/stories").json().as_array().unwrap().len(), 3);
    let story = json!({ "name": "Fourth", "narrative": "As a <reader>", "scenarios": [{ "name": "One", "steps": ["Given it"] }] });
    let answer = app.ask("POST", "/api/stories", &story.to_string());
    assert_eq!(answer.status, 201);
    assert!(answer.head.contains("\r\nlocation: /api/stories/4"), "{}", answer.head);
    let read = app.get("/api/stories/4").json();
    assert_eq!(
        (&read["id"], &read["name"], &read["scenarios"]),
        (&json!(4), &story["name"], &story["scenarios"])
    );
    assert_eq!(app.get("/api/stories").json().as_array().unwrap().last(), Some(&read));
}

#[test]
fn a_request_that_cannot_be_answered_is_told_why() {
    let app = Instance::start(&[]);
    let long = "x".repeat(65 << 10);
    for (method, path, body, status, why) in [
        ("POST", "/api/stories", "{}", 400, "missing field `name`"),
        ("POST", "/api/stories", long.as_str(), 413, "more than 65536 bytes"),
        ("DELETE", "/api/stories", "", 405, "only GET, HEAD, POST here"),
        ("POST", "/api/stories/1", "", 405, "only GET, HEAD here"),
        ("GET", "/api/stories/4", "", 404, "no story \"4\""),
        ("GET", "/api/stories/..", "", 404, "no story \"..\""),
        ("GET", "/unhealthy", "", 405, "only POST here"),
        ("GET", "/slow?ms=120001", "", 400, "ms: at most 120000"),
        ("GET", "/download?bytes=x", "", 400, "bytes: not a number"),
        ("GET", "/ws", "", 426, "only for websockets"),
        ("GET", "/nowhere", "", 404, "no such page"),
    ] {
        let answer = app.ask(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(why), "{method} {path}: {error}");
    }
}

#[test]
fn health_can_be_turned() {
    let app = Instance::start(&[]);
    assert_eq!(app.get("/health").status, 200);
    assert_eq!(app.ask("POST", "/unhealthy", "").status, 200);
    assert_eq!((app.get("/health").status, app.get("/").status), (503, 200));
    assert_eq!(app.ask("POST", "/healthy", "").status, 200);
    assert_eq!(app.get("/health").status, 200);
}

#[test]
fn echoes_are_counted() {
    let ledger = std::env::temp_dir().join(format!("bdd-assistant-ledger-{}", std::process::id()));
    let app = Instance::start(&[("ECHO_LEDGER", ledger.to_str().unwrap()), ("RELEASE", "r1")]);
    for id in ["a", "b", "a"] {
        let answer = app.ask_with(&format!("X-Echo-Id: {id}\r\n"), "POST", "/echo", "four");
        assert_eq!((answer.status, answer.json()["bytes"].as_u64()), (200, Some(4)));
        assert!(answer.head.contains(&format!("\r\nx-echo-id: {id}")), "{}", answer.head);
    }
    assert_eq!(
        app.get("/echo/seen").json(),
        json!({ "distinct": 2, "doubled": 1, "forgotten": 0 })
    );
    let noted = std::fs::read_to_string(&ledger).unwrap();
    std::fs::remove_file(&ledger).unwrap();
    assert_eq!(noted, "a r1\nb r1\na r1\n");
}
