use super::*;

/// A switch in its journal.
const JOURNAL: &str = r#"{"version":1,"opened":"2026-11-23T14:00:00Z","plan":{"app":"shop","switch":"0007","mover":"host/0007","verb":"switch","release":"r8","replaces":"r7","from":"blue","to":"green","steps":[{"step":{"do":"start","color":"green"},"undo":[{"do":"stop","color":"green"}],"reason":"","on_failure":"undo"},{"step":{"do":"promote","expected":12,"to":"green","release":"r8"},"undo":[],"reason":"","on_failure":"undo"},{"step":{"do":"drain","color":"blue","timeout":"30s"},"undo":[],"reason":"","on_failure":"retry"}]}}
{"at":"2026-11-23T14:00:00.010Z","event":"resumed","boot":"b"}
{"at":"2026-11-23T14:00:00.020Z","event":"started","step":0}
"#;

const DONE: &str = r#"{"at":"2026-11-23T14:00:00.632Z","event":"done","step":0}
{"at":"2026-11-23T14:00:00.632Z","event":"started","step":1}
{"at":"2026-11-23T14:00:00.635Z","event":"done","step":1}
{"at":"2026-11-23T14:00:00.635Z","event":"started","step":2}
{"at":"2026-11-23T14:00:00.863Z","event":"done","step":2,"note":"2 connections were still open after 30s"}
"#;

const FAILED: &str = r#"{"at":"2026-11-23T14:01:00.020Z","event":"failed","step":0,"error":"cannot start green: it exited","hint":"look"}
{"at":"2026-11-23T14:01:00.021Z","event":"undo-started","step":0}
{"at":"2026-11-23T14:01:00.030Z","event":"undo-done","step":0}
"#;

fn json(events: &str, outcome: Option<Outcome>) -> String {
    let (record, _) = Record::parse(format!("{JOURNAL}{events}").as_bytes()).unwrap();
    serde_json::to_string_pretty(&Report::new(&record, outcome)).unwrap() + "\n"
}

#[test]
fn json_is_as_documented() {
    assert_eq!(json(DONE, Some(Outcome::Done)), include_str!("../json/switch.json"));
}

#[test]
fn failure_is_told_to_programs() {
    let report: serde_json::Value = serde_json::from_str(&json(FAILED, Some(Outcome::RolledBack))).unwrap();
    assert_eq!(report["outcome"], "rolled-back");
    assert_eq!(report["error"], "cannot start green: it exited");
    assert_eq!(report["hint"], "look");
    assert_eq!(report["promote_ms"], serde_json::Value::Null);
    let states: Vec<_> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["state"])
        .collect();
    assert_eq!(states, ["undone", "pending", "pending"]);
}

#[test]
fn switch_that_still_runs_has_no_end() {
    let report: serde_json::Value = serde_json::from_str(&json("", None)).unwrap();
    assert_eq!(
        (&report["outcome"], &report["ended"]),
        (&"running".into(), &serde_json::Value::Null)
    );
}

/// A switch that holds requests: the new release does not start.
const HELD: &str = r#"{"version":1,"opened":"2026-11-23T14:00:00Z","plan":{"app":"shop","switch":"0007","mover":"host/0007","verb":"switch","release":"r8","replaces":"r7","from":"blue","to":"green","steps":[{"step":{"do":"hold","limit":"10s","prove":true},"undo":[{"do":"route","to":"blue"}],"reason":"","on_failure":"undo"},{"step":{"do":"start","color":"green"},"undo":[{"do":"stop","color":"green"}],"reason":"","on_failure":"undo"},{"step":{"do":"route","to":"green"},"undo":[{"do":"hold","limit":"10s","prove":false}],"reason":"","on_failure":"undo"}]}}
{"at":"2026-11-23T14:00:00.010Z","event":"resumed","boot":"b"}
{"at":"2026-11-23T14:00:00.020Z","event":"started","step":0}
{"at":"2026-11-23T14:00:00.025Z","event":"done","step":0}
{"at":"2026-11-23T14:00:00.030Z","event":"started","step":1}
"#;

const STARTED: &str = r#"{"at":"2026-11-23T14:00:01.000Z","event":"done","step":1}
{"at":"2026-11-23T14:00:01.010Z","event":"started","step":2}
{"at":"2026-11-23T14:00:01.020Z","event":"done","step":2}
"#;

const BACK: &str = r#"{"at":"2026-11-23T14:00:02.000Z","event":"abort-requested"}
{"at":"2026-11-23T14:00:02.000Z","event":"undo-started","step":2}
{"at":"2026-11-23T14:00:02.010Z","event":"undo-done","step":2}
{"at":"2026-11-23T14:00:02.020Z","event":"undo-started","step":1}
{"at":"2026-11-23T14:00:02.100Z","event":"undo-done","step":1}
{"at":"2026-11-23T14:00:02.100Z","event":"undo-started","step":0}
{"at":"2026-11-23T14:00:02.210Z","event":"undo-done","step":0}
"#;

#[test]
fn time_without_a_color_is_told() {
    let read = |events: &str| Record::parse(format!("{HELD}{events}").as_bytes()).unwrap().0;
    let held = |events: &str| read(events).held().map(|held| held.as_millis());
    assert_eq!(held(STARTED), Some(1000));
    assert_eq!(held(&format!("{STARTED}{BACK}")), Some(1200));
    assert_eq!(super::held(&read(STARTED)), "; requests were held for 1.0 s");
    assert_eq!(
        serving(&read("")),
        "no release serves, and requests are answered with 503"
    );
    assert_eq!(serving(&read(STARTED)), "r8 serves in green");
    let report = serde_json::to_value(Report::new(&read(STARTED), Some(Outcome::Done))).unwrap();
    assert_eq!(report["held_ms"], 1000);
}
