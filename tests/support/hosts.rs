//! Any host and any app.

use std::time::Duration;

use bgctl::model::{self, ActiveState, App, ByColor, Color, Cursor, InstanceState, Observed, Revision, Stored, Verify};
use proptest::prelude::*;

use crate::builders::{self, app, fresh, id, release};

fn color() -> impl Strategy<Value = Option<Color>> {
    prop::sample::select(vec![None, Some(Color::Blue), Some(Color::Green)])
}

fn instance() -> impl Strategy<Value = InstanceState> {
    use ActiveState::{Activating, Active, Deactivating, Failed, Inactive, Reloading};
    let states = vec![Active, Reloading, Inactive, Failed, Activating, Deactivating];
    let releases = vec![None, Some("r0"), Some("r1"), Some("r2")];
    (
        prop::sample::select(states),
        any::<bool>(),
        prop::sample::select(releases),
    )
        .prop_map(|(state, enabled, pinned)| InstanceState {
            state,
            enabled,
            pinned: pinned.map(id),
        })
}

/// An installed app in any state, with `r0` as its previous release; what is true of it need not make sense.
pub fn observed() -> impl Strategy<Value = Observed> {
    let staged = prop::sample::select(vec![None, Some("r0"), Some("r2")]);
    let all = (color(), color(), instance(), instance(), staged, 1..100_i64);
    all.prop_map(|(active, route, blue, green, staged, revision)| Observed {
        cursor: Some(Stored {
            cursor: Cursor {
                active,
                release: active.map(|_| id("r1")),
                moved_by: None,
            },
            revision: Revision(revision),
        }),
        route: route.into(),
        instances: ByColor { blue, green },
        releases: ["r0", "r1", "r2"].map(release).into(),
        previous: Some(id("r0")),
        staged: staged.map(|release| builders::staged(route.map_or(Color::Blue, Color::other), release)),
        ..fresh()
    })
}

/// An app with any of what changes a plan.
pub fn any_app() -> impl Strategy<Value = App> {
    let strategy = prop::sample::select(vec![
        model::Strategy::BlueGreen,
        model::Strategy::StopFirst {
            hold: Duration::from_secs(10),
        },
    ]);
    (any::<bool>(), any::<bool>(), 0..90_000_u64, 0..90_000_u64, strategy).prop_map(
        |(verify, keep_warm, bake, drain, strategy)| {
            let mut app = app();
            app.strategy = strategy;
            app.stage.expires = (drain > 45_000).then_some(Duration::from_millis(drain));
            app.verify = Verify::commands(verify.then_some("true"), Duration::from_secs(60));
            app.bake = Duration::from_millis(bake.saturating_sub(45_000));
            app.confirm_within = (bake > 60_000).then_some(Duration::from_millis(bake));
            app.drain.keep_warm = keep_warm && !strategy.is_stop_first();
            app.drain.timeout = Duration::from_millis(drain);
            app
        },
    )
}
