//! `bgctl uninstall`: stop, disable and remove what install wrote.

use std::io::{BufRead as _, IsTerminal as _};

use crate::files;
use crate::model::{AppName, Color, Hinted, Settings, StoreSettings};
use crate::ops::context::Context;
use crate::ops::install::{self, Files, Remove};
use crate::ops::lock::{lock, refuse_open_switch};
use crate::ops::opening::{busy, own_lease};

use super::args;
use super::install::explain;
use super::output;
use super::report::Exit;
use super::signals::Signals;

/// Asks, and then removes.
pub async fn run(context: &Context, verb: &args::Uninstall) -> eyre::Result<Exit> {
    context.require_root_on_host("uninstall")?;
    context.require_installed(&verb.app)?;
    let (settings, layout) = (context.settings()?, &context.layout);
    // The folder is gone where an uninstall before this one ended in the middle.
    install::make_state(layout, &verb.app)?;
    let _lock = lock(context, &verb.app, "uninstall")?;
    refuse_open_switch(context, &verb.app, "uninstall")?;
    let app = context.app(&verb.app)?;
    let manifest = files::read(&layout.manifest(&app.name))?.unwrap_or_default();
    let written = Files::of(&app, &manifest, &settings, layout, &install::program()?)?;
    written.refuse_kept(&app.name, &layout.template_unit(&app.name))?;
    let machine = context.machine(app.clone()).await?;
    // Whether the store can be reached is found out while nothing has changed yet.
    let store = machine.store().await?;
    let active = store.get(&app.name).await?.and_then(|stored| stored.cursor.active);
    if !verb.yes && !is_agreed(&app.name, active, verb.keep_state, &settings)? {
        output::answer("nothing was removed");
        return Ok(Exit::Refused);
    }
    let mut signals = Signals::hold()?;
    // The cursor goes for all hosts that share it.
    let acquired = machine.acquire_lease(&own_lease(&"uninstall", "uninstall")?).await;
    acquired.map_err(|error| busy(&app.name, "uninstall", error))?;
    let remove = Remove {
        app: &app,
        settings: &settings,
        layout,
        systemd: machine.systemd(),
        store,
        keep_state: verb.keep_state,
        may_restart: verb.restart_nginx,
    };
    let why = "finishing first: half an installation would be left";
    let left = signals.finish(install::remove(&remove, &written), why).await;
    machine.release_lease().await;
    let half = || {
        format!(
            "{} is only half removed; run bgctl uninstall again to remove the rest",
            app.name
        )
    };
    for path in left.map_err(|failed| explain(failed, half()))? {
        output::warning(&format!(
            "{path} was left in place: it was changed by hand since bgctl wrote it"
        ));
    }
    output::answer(&format!("{} is uninstalled", app.name));
    Ok(Exit::Done)
}

fn is_agreed(app: &AppName, active: Option<Color>, keep_state: bool, settings: &Settings) -> eyre::Result<bool> {
    if !std::io::stdin().is_terminal() {
        let message = format!("cannot ask whether to uninstall {app}: there is no terminal");
        return Err(Hinted::new(message, "say it on the command line: --yes").into());
    }
    let question = question(app, active, keep_state, &settings.store);
    output::progress(&format!("{question} [y/N] "));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn question(app: &AppName, active: Option<Color>, keep_state: bool, store: &StoreSettings) -> String {
    let serving = active
        .map(|color| format!(" {color} serves now and will stop."))
        .unwrap_or_default();
    let state = match (keep_state, store) {
        (true, _) => "",
        (false, StoreSettings::Local) => " Its releases, journal and cursor go as well.",
        (false, StoreSettings::Etcd(_)) => {
            " Its releases and journal go as well, and its cursor in etcd, for all hosts that share it."
        }
    };
    format!("Uninstall {app}?{serving}{state}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EtcdSettings;

    #[test]
    fn the_question_says_what_goes() {
        let app = AppName::parse("shop").unwrap();
        let ask = |active, keep_state, store| question(&app, active, keep_state, store);
        let local = "Uninstall shop? Its releases, journal and cursor go as well.";
        assert_eq!(ask(None, false, &StoreSettings::Local), local);
        let kept = ask(Some(Color::Blue), true, &StoreSettings::Local);
        assert_eq!(kept, "Uninstall shop? blue serves now and will stop.");
        let etcd = StoreSettings::Etcd(EtcdSettings {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "/".to_owned(),
            user: None,
            ca: None,
            client: None,
            timeout: std::time::Duration::from_secs(5),
            patience: std::time::Duration::ZERO,
        });
        assert!(ask(None, false, &etcd).ends_with("for all hosts that share it."));
    }
}
