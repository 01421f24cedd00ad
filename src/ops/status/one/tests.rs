use super::*;
use crate::model::{AppName, Replica, UnitName};
use crate::ops::status::ReplicaStatus;

fn release(name: &str) -> ReleaseId {
    ReleaseId::parse(name).unwrap()
}

fn color(color: Color, port: u16, role: &'static str) -> ColorStatus {
    let app = AppName::parse("shop").unwrap();
    let port = Port::new(port).unwrap();
    let is_active = role == "active";
    let since = if is_active {
        "2026-11-23T14:00:00Z"
    } else {
        "2026-11-23T15:00:00Z"
    };
    ColorStatus {
        color,
        role,
        port,
        unit: UnitName::instance(&app, port).to_string(),
        state: ActiveState::Active,
        enabled: true,
        release: Some(release(if is_active { "r7" } else { "r8" })),
        since: Some(since.parse().unwrap()),
        restarts: 0,
        health: Some("healthy".to_owned()),
        healthy: Some(true),
        memory_bytes: Some(12_582_912),
        companions: is_active.then(companion).into_iter().collect(),
    }
}

fn companion() -> CompanionStatus {
    let app = AppName::parse("shop").unwrap();
    let replica = Replica::parse("worker", "1").unwrap();
    let since = Some("2026-11-23T14:00:01Z".parse().unwrap());
    CompanionStatus {
        name: replica.companion.clone(),
        running: 1,
        wanted: 1,
        since,
        restarts: 0,
        replicas: vec![ReplicaStatus {
            number: replica.number,
            unit: UnitName::companion(&app, Color::Blue, &replica).to_string(),
            state: ActiveState::Active,
            enabled: true,
            since,
            restarts: 0,
        }],
    }
}

#[test]
fn json_is_as_documented() {
    let status = Status {
        app: "shop".to_owned(),
        url: "http://shop.example".to_owned(),
        cursor: Some(CursorStatus {
            cursor: Cursor {
                active: Some(Color::Blue),
                release: Some(release("r7")),
                moved_by: Some("host1/0007".to_owned()),
            },
            revision: Revision(12),
            as_of: None,
            age_seconds: None,
        }),
        lease: Some(LeaseStatus {
            lease: Lease {
                by: "host1/0009".to_owned(),
                verb: "promote".to_owned(),
                release: Some(release("r8")),
                since: "2026-11-23T14:00:00Z".parse().unwrap(),
            },
            expires: true,
        }),
        serving: Some(Color::Blue),
        nginx_answers: true,
        held: false,
        agrees: true,
        colors: vec![color(Color::Blue, 9001, "active"), color(Color::Green, 9002, "staged")],
        staged: Some(StagedStatus {
            color: Color::Green,
            release: release("r8"),
            since: "2026-11-23T15:00:02Z".parse().unwrap(),
            until: Some("2026-11-23T17:00:02Z".parse().unwrap()),
            has_expired: false,
        }),
        open_switch: Some(SwitchStatus {
            switch: SwitchId::numbered(9),
            release: release("r8"),
            step: Some("prove that green runs r8 as it was staged".to_owned()),
            running: true,
        }),
        problems: vec![Problem {
            problem: "/etc/nginx/sites-enabled/shop.conf was changed by hand".to_owned(),
            repair: "bgctl repair shop".to_owned(),
        }],
        warnings: vec![Warning {
            warning: "visitors who ask [::]:443 for shop.example are answered by a site of /etc/nginx/conf.d/blog.conf"
                .to_owned(),
            advice: "add [::]:443 to [nginx] listen in /etc/bgctl/apps/shop.toml, or change that file".to_owned(),
        }],
    };
    let json = serde_json::to_string_pretty(&status).unwrap() + "\n";
    assert_eq!(json, include_str!("../../../cli/json/status.json"));
}
