//! `bgctl migrate`: what `bgctl install` does for an app of bgctl 0.1.0, as far as an open switch needs it.

use crate::host::systemd::Systemd;
use crate::ops::context::Context;
use crate::ops::install::{self, Files, Put};

use super::args;
use super::report::Exit;

/// Puts the route and the site in place.
pub async fn run(context: &Context, verb: &args::Migrate) -> eyre::Result<Exit> {
    context.require_root_on_host("migrate")?;
    let app = context.app(&verb.app)?;
    let (settings, layout) = (context.settings()?, &context.layout);
    let files = Files::installed(&app, &settings, layout, &install::program()?)?;
    let put = Put {
        app: &app,
        settings: &settings,
        layout,
        systemd: &Systemd::connect().await?,
        store: None,
        is_new: false,
        may_restart: false,
    };
    install::migrate(&put, &files).await.map(|()| Exit::Done)
}
