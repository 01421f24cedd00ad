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
