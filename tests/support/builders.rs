//! An app, its releases and what is observed of it, each as plain as can be; a test changes what it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bgctl::model::{
    ActiveState, App, AppName, Artifact, ByColor, Check, Color, Companion, CompanionName, Cursor, Drain, HealthCheck,
    InstanceState, Listen, Listening, Observed, Port, Program, Protocol, Release, ReleaseId, Replica, Revision, Route,
    Run, Runtime, ServerName, Site, Stage, Staged, Stored, Strategy, SwitchId, Verify,
};

/// The app `shop`: no verify commands, no bake, 30 s to drain.
pub fn app() -> App {
    App {
        name: AppName::parse("shop").unwrap(),
        run: Run {
            runtime: Runtime::Program(Program {
                path: "/opt/shop/bin/shop".into(),
                working_directory: None,
                on_change: None,
                state_directory: false,
            }),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            env_file: None,
            credentials: BTreeMap::new(),
            memory: None,
            stop_timeout: Duration::from_secs(30),
            service: Vec::new(),
        },
        ports: ByColor {
            blue: Port::new(9001).unwrap(),
            green: Port::new(9002).unwrap(),
        },
        extra_ports: BTreeMap::new(),
        companions: Vec::new(),
        health: health(),
        verify: Verify::default(),
        site: Site {
            server_names: vec![ServerName::parse("_").unwrap()],
            listen: vec![Listening::plain(Listen::parse("80").unwrap())],
            default_server: false,
            certificate: None,
            trusted_proxies: Vec::new(),
            protocol: Protocol::Http,
            buffering: true,
            locations: Vec::new(),
            shared_paths: Vec::new(),
            error_page: None,
            empty_page: None,
            acme_root: None,
            max_body_size: 0,
            max_head_size: 0,
            read_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            include: "/etc/nginx/shop.d".into(),
        },
        strategy: Strategy::BlueGreen,
        stage: Stage::default(),
        bake: Duration::ZERO,
        confirm_within: None,
        drain: Drain {
            timeout: Duration::from_secs(30),
            keep_warm: false,
        },
    }
}

fn health() -> HealthCheck {
    HealthCheck {
        check: Check::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        deadline: Duration::from_secs(60),
        healthy_for: Duration::ZERO,
    }
}

/// The id of a release.
pub fn id(release: &str) -> ReleaseId {
    ReleaseId::parse(release).unwrap()
}

/// A release of that id.
pub fn release(id: &str) -> Release {
    Release {
        id: self::id(id),
        created: "2026-10-20T12:00:00Z".parse().unwrap(),
        artifact: Artifact::Program {
            path: format!("/opt/shop/{id}/shop").into(),
            file: None,
        },
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        placeholders: BTreeSet::new(),
        health: health(),
        verify: None,
        companions: Vec::new(),
    }
}

/// The companion of which two generations may run.
pub const OVERLAPPING: &str = "mail";

/// So many of a companion.
pub fn companion(name: &str, replicas: u8) -> Companion {
    Companion {
        name: CompanionName::parse(name).unwrap(),
        arguments: vec!["work".to_owned()],
        memory: None,
        replicas,
        quiet_signal: None,
        stop_timeout: Duration::from_secs(30),
        overlap: name == OVERLAPPING,
    }
}

/// The same release with companions.
pub fn with_companions(release: Release, companions: impl Into<Vec<Companion>>) -> Release {
    let companions = companions.into();
    Release { companions, ..release }
}

/// Those of `r1` in blue, which serves it.
pub fn serving_with_companions(companions: impl Into<Vec<Companion>>) -> Observed {
    let r1 = with_companions(release("r1"), companions);
    Observed {
        companions: ByColor {
            blue: Replica::of(&r1.companions),
            green: Vec::new(),
        },
        releases: vec![r1],
        ..serving(Color::Blue)
    }
}

/// The app was installed and never switched.
pub fn fresh() -> Observed {
    Observed {
        cursor: Some(Stored {
            cursor: Cursor::default(),
            revision: Revision(1),
        }),
        route: Route::None,
        instances: ByColor::default(),
        companions: ByColor::default(),
        releases: Vec::new(),
        previous: None,
        staged: None,
        open: None,
        host: "host".to_owned(),
        next_switch: SwitchId::numbered(7),
    }
}

/// One color serves `r1`, runs and is enabled; the other one was never used.
pub fn serving(color: Color) -> Observed {
    let mut observed = Observed {
        cursor: Some(Stored {
            cursor: Cursor {
                active: Some(color),
                release: Some(id("r1")),
                moved_by: Some("host/0006".to_owned()),
            },
            revision: Revision(41),
        }),
        route: Route::To(color),
        releases: vec![release("r1")],
        ..fresh()
    };
    *instance(&mut observed, color) = state(ActiveState::Active, true, Some("r1"));
    observed
}

/// The same, with what is to be known about the idle color.
pub fn serving_beside(color: Color, idle: InstanceState) -> Observed {
    let mut observed = serving(color);
    let pinned = idle.pinned.iter().filter(|pinned| **pinned != id("r1"));
    observed.releases.extend(pinned.map(|pinned| release(pinned.as_str())));
    *instance(&mut observed, color.other()) = idle;
    observed
}

/// Blue serves `r1`, and `r0` was active before in green, which is now in `idle`.
pub fn with_previous(idle: InstanceState) -> Observed {
    Observed {
        releases: vec![release("r0"), release("r1")],
        previous: Some(id("r0")),
        ..serving_beside(Color::Blue, idle)
    }
}

/// Blue serves `r1`, `r0` was active before, and `r2` is staged in green.
pub fn with_staged() -> Observed {
    let idle = state(ActiveState::Active, true, Some("r2"));
    Observed {
        releases: ["r0", "r1", "r2"].map(release).into(),
        previous: Some(id("r0")),
        staged: Some(staged(Color::Green, "r2")),
        ..serving_beside(Color::Blue, idle)
    }
}

/// What is on record of a release that is staged in a color until 14 h.
pub fn staged(color: Color, release: &str) -> Staged {
    Staged {
        color,
        release: id(release),
        since: "2026-10-20T12:00:00Z".parse().unwrap(),
        until: Some("2026-10-20T14:00:00Z".parse().unwrap()),
        unit: Some("5ffae6d99bf33a8a".to_owned()),
    }
}

/// An instance in that state.
pub fn state(state: ActiveState, enabled: bool, pinned: Option<&str>) -> InstanceState {
    InstanceState {
        state,
        enabled,
        pinned: pinned.map(id),
    }
}

/// The observed instance of a color, to change it.
pub fn instance(observed: &mut Observed, color: Color) -> &mut InstanceState {
    match color {
        Color::Blue => &mut observed.instances.blue,
        Color::Green => &mut observed.instances.green,
    }
}
