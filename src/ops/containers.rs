//! What an app has in its engine beside what runs.

use std::collections::BTreeSet;

use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{App, Artifact, Color, Replica, Runtime, UnitName};
use crate::runtime::docker::{Docker, companion_container, container_name};
use crate::state::companions;
use crate::state::releases::Releases;

/// Removes stopped containers whose units are down and could not do so, and keeps the images of the releases on record, and no
/// others, by a tag each. Does nothing for an app that is a program. Can be done at any time and again.
pub async fn tidy(docker: &Docker, layout: &Layout, systemd: &Systemd, app: &App) -> eyre::Result<()> {
    let Runtime::Docker(_) = app.run.runtime else {
        return Ok(());
    };
    for color in Color::BOTH {
        let port = *app.ports.get(color);
        if systemd
            .active_state(&UnitName::instance(&app.name, port))
            .await?
            .is_down()
        {
            docker.remove_stopped(&container_name(&app.name, port)).await?;
        }
    }
    let started = companions::list(layout, &app.name)?;
    let of_manifest = Replica::of(&app.companions);
    for color in Color::BOTH {
        let replicas: BTreeSet<_> = started.get(color).iter().chain(&of_manifest).collect();
        for replica in replicas {
            let unit = UnitName::companion(&app.name, color, replica);
            if systemd.active_state(&unit).await?.is_down() {
                let name = companion_container(&app.name, color, replica);
                docker.remove_stopped(&name).await?;
            }
        }
    }
    let releases = Releases::new(layout, &app.name).list()?;
    let images = releases.iter().filter_map(|release| match &release.artifact {
        Artifact::Image { image, .. } => Some((&release.id, image)),
        Artifact::Program { .. } => None,
    });
    docker.keep(&app.name, &images.collect::<Vec<_>>()).await
}
