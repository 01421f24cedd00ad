//! Whether visitors of an app reach its site: what may keep them from it hinders no switch, and is a warning.

use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{App, Hinted, Settings};
use crate::proxy::nginx::{Nginx, Taken};

/// Something that keeps visitors from a site, or will.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What, in a sentence.
    pub warning: String,
    /// What can be done about it.
    pub advice: String,
}

/// What keeps visitors of an installed app from its site.
pub async fn warnings(app: &App, settings: &Settings, layout: &Layout, systemd: &Systemd) -> Vec<Warning> {
    let nginx = Nginx::new(settings.nginx.clone(), systemd.clone());
    match nginx.taken(&layout.site(&app.name, &settings.nginx), &app.site).await {
        Ok(taken) => taken.iter().map(|taken| elsewhere(app, layout, taken)).collect(),
        Err(error) => vec![Warning {
            warning: format!("{error:#}; it would not start again"),
            advice: Hinted::find(&error).map_or_else(String::new, |hinted| hinted.hint().to_owned()),
        }],
    }
}

fn elsewhere(app: &App, layout: &Layout, taken: &Taken) -> Warning {
    let Taken {
        name,
        address,
        by,
        by_name,
    } = taken;
    let advice = if *by_name {
        "set [nginx] server_name or default_server, or change that file".to_owned()
    } else {
        format!(
            "add {address} to [nginx] listen in {}, or change that file",
            layout.manifest(&app.name)
        )
    };
    Warning {
        warning: format!("visitors who ask {address} for {name} are answered by a site of {by}"),
        advice,
    }
}
