use super::*;
use crate::model::{AppName, Replica, UnitName};
use crate::ops::status::ReplicaStatus;

fn release(name: &str) -> ReleaseId {
    ReleaseId::parse(name).unwrap()
}

fn color(color: Color, port: u16, active: Color) -> ColorStatus {
    let app = AppName::parse("shop").unwrap();
    let port = Port::new(port).unwrap();
    let is_up = color == active;
    ColorStatus {
        color,
        role: if is_up { "active" } else { "idle" },
        port,
        unit: UnitName::instance(&app, port).to_string(),
        state: if is_up {
            ActiveState::Active
        } else {
            ActiveState::Inactive
        },
        enabled: is_up,
        release: Some(release(if is_up { "r7" } else { "r8" })),
        since: is_up.then(|| "2026-11-23T14:00:00Z".parse().unwrap()),
        restarts: 0,
        health: is_up.then(|| "healthy".to_owned()),
        healthy: is_up.then_some(true),
        memory_bytes: is_up.then_some(12_582_912),
        companions: is_up.then(companion).into_iter().collect(),
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
                by: "host1/0008".to_owned(),
                verb: "switch".to_owned(),
                release: Some(release("r8")),
                since: "2026-11-23T14:00:00Z".parse().unwrap(),
            },
            expires: true,
        }),
        serving: Some(Color::Blue),
        nginx_answers: true,
        held: false,
        agrees: true,
        colors: vec![
            color(Color::Blue, 9001, Color::Blue),
            color(Color::Green, 9002, Color::Blue),
        ],
        open_switch: Some(SwitchStatus {
            switch: SwitchId::numbered(8),
            release: release("r8"),
            step: Some("start green and wait until it is healthy".to_owned()),
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
