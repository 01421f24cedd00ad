//! `bgctl uninstall`: stop, disable and remove what install wrote.

use std::io::{BufRead as _, IsTerminal as _};

use crate::model::{AppName, Color, StoreSettings};
use crate::ops::Error;
use crate::ops::context::Context;
use crate::ops::uninstall::Uninstall;

use super::args;
use super::output;
use super::report::{Ends, Exit};
use super::signals::Signals;

/// Asks, and then removes.
pub async fn run(context: &Context, verb: &args::Uninstall) -> Result<Exit, Ends> {
    context.require_root_on_host("uninstall")?;
    let (app, keep_state) = (&verb.app, verb.keep_state);
    let mut uninstall = Uninstall::begin(context, app).await?;
    uninstall.may_restart = verb.restart_nginx;
    let question = question(app, uninstall.active, keep_state, &context.settings()?.store);
    if !verb.yes && !is_agreed(app, &question)? {
        output::answer("nothing was removed");
        return Ok(Exit::Refused);
    }
    let why = "finishing first: half an installation would be left";
    for path in Signals::hold()?.finish(uninstall.run(keep_state), why).await? {
        output::warning(&format!(
            "{path} was left in place: it was changed by hand since bgctl wrote it"
        ));
    }
    output::answer(&format!("{app} is uninstalled"));
    Ok(Exit::Done)
}

fn is_agreed(app: &AppName, question: &str) -> Result<bool, Ends> {
    if !std::io::stdin().is_terminal() {
        let message = format!("cannot ask whether to uninstall {app}: there is no terminal");
        return Err(Error::refused(message, "say it on the command line: --yes").into());
    }
    output::progress(&format!("{question} [y/N] "));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(eyre::Report::from)?;
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
    fn question_says_what_goes() {
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
