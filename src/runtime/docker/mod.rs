//! The Docker engine: what an image reference means here and now, pinned.
//!
//! Containers are run by units, not by this module.

mod container;
mod credentials;
mod explain;
mod names;

use std::collections::HashMap;

use bollard::errors::Error;
use bollard::models::{ContainerSummaryStateEnum, CreateImageInfo, ImageInspect};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use camino::Utf8Path;
use eyre::WrapErr as _;
use futures_util::StreamExt as _;

pub use self::container::Container;
pub use self::explain::start_hint;
use crate::model::{
    AppName, Color, Digest, Hint as _, Hinted, ImageRef, Port, Pull, ReleaseId, Replica, ResolvedImage,
};

/// How long the engine may take until it begins to answer, seconds: a pull begins when its registry answered.
const TIMEOUT: u64 = 120;

/// A line of a pull's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullEvent {
    /// The layer, a short id; none where the line is about the whole image.
    pub layer: Option<String>,
    /// What happens to it, as in `Downloading` or `Pull complete`.
    pub status: String,
    /// How much of it is done, bytes.
    pub current: Option<u64>,
    /// How much it is in all, bytes.
    pub total: Option<u64>,
}

/// The name of the container of the instance on `port`.
pub fn container_name(app: &AppName, port: Port) -> String {
    format!("{app}-{port}")
}

/// The name of the container of a companion's replica.
pub fn companion_container(app: &AppName, color: Color, replica: &Replica) -> String {
    let Replica { companion, number } = replica;
    format!("{app}_{companion}-{color}-{number}")
}

/// This host's Docker engine.
#[derive(Clone, Debug)]
pub struct Docker {
    engine: bollard::Docker,
}

impl Docker {
    /// Connects to the engine at `socket`. Fails where no engine answers.
    pub async fn connect(socket: &Utf8Path) -> eyre::Result<Self> {
        let connect = async {
            let engine = bollard::Docker::connect_with_unix(socket.as_str(), TIMEOUT, bollard::API_DEFAULT_VERSION)?;
            // No version is agreed on, for which the engine asks its parts and takes milliseconds: bollard 0.21 puts none
            // into its requests, and an engine takes these as of its own version.
            engine.ping().await?;
            Ok::<_, Error>(engine)
        };
        let engine = connect
            .await
            .wrap_err_with(|| format!("cannot reach Docker at {socket}"))
            .hint("start it with `systemctl start docker`, or set [docker] socket in bgctl.toml")?;
        Ok(Self { engine })
    }

    /// Resolves what `reference` means now. `on_event` hears of a pull's progress.
    ///
    /// * With a digest it means that, and is pulled only where it is not here.
    /// * An image of this host that never was in a registry under this name (built, imported or tagged here) is resolved to
    ///   its id; no registry is asked.
    /// * Anything else is pulled anew, so that a moved tag means what it was moved to; with [`Pull::Missing`] only where it is not
    ///   here. Of an image for several architectures the digest is that of the whole list, which is what `docker run REPOSITORY@DIGEST` takes.
    ///
    /// Fails where there is no such image, or its registry cannot be reached or asks for a login.
    pub async fn resolve(
        &self,
        reference: &ImageRef,
        pull: Pull,
        on_event: &mut dyn FnMut(PullEvent),
    ) -> eyre::Result<ResolvedImage> {
        if let Ok(id) = Digest::parse(reference.as_str()) {
            return self.local(reference, &id).await;
        }
        let here = self.inspect(reference.as_str()).await?;
        let known = here
            .as_ref()
            .and_then(|image| names::digest_in(image, reference.repository()));
        match (&here, reference.digest(), known) {
            (Some(_), Some(digest), _) => registry(reference, digest),
            (Some(image), None, None) => Ok(ResolvedImage::Local { id: id_of(image)? }),
            // In containerd's image store the id is the digest, and a name for what was only built here would be lost with its tag.
            (Some(image), None, Some(known)) if pull == Pull::Missing => match id_of(image)? {
                id if id == known => Ok(ResolvedImage::Local { id }),
                _ => registry(reference, known),
            },
            (_, wanted, known) => {
                let pulled = self.pull(reference, on_event).await;
                let pulled = pulled.map_err(|error| explain::pull(reference, known.as_ref(), &error))?;
                match wanted {
                    Some(digest) => registry(reference, digest),
                    None => self.pulled(reference, pulled, on_event).await,
                }
            }
        }
    }

    /// Whether `container` runs; false where there is none.
    pub async fn is_running(&self, container: &str) -> eyre::Result<bool> {
        // A list: to inspect a container that the engine fails to stop waits for that.
        let filters = HashMap::from([("name", vec![format!("^/{container}$")])]);
        let options = ListContainersOptionsBuilder::default().filters(&filters).build();
        let running = self.engine.list_containers(Some(options)).await;
        let running = running.wrap_err_with(|| format!("cannot look for container {container}"))?;
        Ok(!running.is_empty())
    }

    /// Removes `container` where it does not run, as one does not that its engine stopped, or made after its client was gone. Returns
    /// whether it runs.
    pub async fn remove_stopped(&self, container: &str) -> eyre::Result<bool> {
        let filters = HashMap::from([("name", vec![format!("^/{container}$")])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.engine.list_containers(Some(options)).await;
        let found = found.wrap_err_with(|| format!("cannot look for container {container}"))?;
        let Some(found) = found.into_iter().next() else {
            return Ok(false);
        };
        if matches!(
            found.state,
            Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED)
        ) {
            return Ok(true);
        }
        match self.engine.remove_container(container, None).await {
            // Gone, or about to go.
            Ok(())
            | Err(Error::DockerResponseServerError {
                status_code: 404 | 409, ..
            }) => Ok(false),
            Err(error) => Err(error).wrap_err_with(|| format!("cannot remove container {container}")),
        }
    }

    /// Whether an image is on this host.
    pub async fn has(&self, image: &ImageRef) -> eyre::Result<bool> {
        Ok(self.inspect(image.as_str()).await?.is_some())
    }

    /// Gives the images of an app's `releases`, the last one last, a tag each, `bgctl/APP:RELEASE`, so that `docker image prune` leaves them, and
    /// takes away those of other releases. One that is not on this host is left out.
    pub async fn keep(&self, app: &AppName, releases: &[(&ReleaseId, &ResolvedImage)]) -> eyre::Result<()> {
        let repository = format!("bgctl/{app}");
        let filters = HashMap::from([("reference", vec![repository.as_str()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let listed = self.engine.list_images(Some(options)).await;
        let listed = listed.wrap_err_with(|| format!("cannot list the images of {repository}"))?;
        let tags: Vec<_> = listed.into_iter().flat_map(|image| image.repo_tags).collect();
        let own: Vec<_> = tags
            .iter()
            .filter_map(|tag| tag.strip_prefix(&format!("{repository}:")))
            .collect();
        for tag in own
            .iter()
            .filter(|tag| releases.iter().all(|(id, _)| id.as_str() != **tag))
        {
            let options = RemoveImageOptionsBuilder::default().build();
            let removed = self
                .engine
                .remove_image(&format!("{repository}:{tag}"), Some(options), None)
                .await;
            removed.wrap_err_with(|| format!("cannot remove the tag {repository}:{tag}"))?;
        }
        // The last one may be made anew under the name of one that never served.
        let last = releases.last().map(|(id, _)| *id);
        let is_tagged = |id: &ReleaseId| own.contains(&id.as_str()) && last != Some(id);
        for (id, image) in releases.iter().filter(|(id, _)| !is_tagged(id)) {
            let options = TagImageOptionsBuilder::default()
                .repo(&repository)
                .tag(id.as_str())
                .build();
            match self.engine.tag_image(&image.to_string(), Some(options)).await {
                Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(error).wrap_err_with(|| format!("cannot tag {image} as {repository}:{id}")),
            }
        }
        Ok(())
    }

    async fn local(&self, reference: &ImageRef, id: &Digest) -> eyre::Result<ResolvedImage> {
        match self.inspect(id.as_str()).await? {
            Some(image) => Ok(ResolvedImage::Local { id: id_of(&image)? }),
            None => Err(Hinted::new(
                format!("cannot find image {reference}: there is none with this id on this host"),
                "see `docker images --no-trunc`, or name it with its repository",
            )
            .into()),
        }
    }

    async fn inspect(&self, image: &str) -> eyre::Result<Option<ImageInspect>> {
        match self.engine.inspect_image(image).await {
            Ok(image) => Ok(Some(image)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error).wrap_err_with(|| format!("cannot look at image {image}")),
        }
    }

    /// Pulls; the digest that the engine names at the end.
    async fn pull(
        &self,
        reference: &ImageRef,
        on_event: &mut dyn FnMut(PullEvent),
    ) -> Result<Option<Digest>, explain::PullError> {
        let login = credentials::for_registry(names::registry(reference.repository())).await?;
        // The engine takes a digest in the place of a tag.
        let digest = reference.digest();
        let tag = digest.as_ref().map_or(reference.tag(), |digest| Some(digest.as_str()));
        let options = CreateImageOptionsBuilder::default()
            .from_image(reference.repository())
            .tag(tag.unwrap_or_default())
            .build();
        let mut lines = std::pin::pin!(self.engine.create_image(Some(options), None, login));
        let mut pulled = None;
        while let Some(line) = lines.next().await {
            let line = line?;
            pulled = pulled.or_else(|| line.status.as_deref().and_then(digest_line));
            on_event(event(line));
        }
        Ok(pulled)
    }

    /// What was pulled by its tag, where the engine `told` its digest at the end or names it now. containerd's image store, whose ids
    /// are digests, knows it by that tag alone, and would have to ask the registry again when the tag has moved: it is pulled by its
    /// digest as well.
    async fn pulled(
        &self,
        reference: &ImageRef,
        told: Option<Digest>,
        on_event: &mut dyn FnMut(PullEvent),
    ) -> eyre::Result<ResolvedImage> {
        let here = self.inspect(reference.as_str()).await?;
        let named = || names::digest_in(here.as_ref()?, reference.repository());
        let digest = told.or_else(named);
        let digest =
            digest.ok_or_else(|| eyre::eyre!("cannot resolve image {reference}: the engine names no digest of it"))?;
        let pinned = registry(reference, digest.clone())?;
        if here.is_some_and(|image| image.id.as_deref() == Some(digest.as_str())) {
            let by_digest = pinned.reference()?;
            let pulled = self.pull(&by_digest, on_event).await;
            pulled.map_err(|error| explain::pull(&by_digest, None, &error))?;
        }
        Ok(pinned)
    }
}

fn registry(reference: &ImageRef, digest: Digest) -> eyre::Result<ResolvedImage> {
    let repository = ImageRef::parse(reference.repository())?;
    Ok(ResolvedImage::Registry { repository, digest })
}

fn id_of(image: &ImageInspect) -> eyre::Result<Digest> {
    Ok(Digest::parse(image.id.clone().unwrap_or_default())?)
}

/// The engine's last lines of a pull hold `Digest: sha256:...`.
fn digest_line(status: &str) -> Option<Digest> {
    Digest::parse(status.strip_prefix("Digest: ")?).ok()
}

fn event(line: CreateImageInfo) -> PullEvent {
    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let progress = line.progress_detail.unwrap_or_default();
    PullEvent {
        layer: line.id,
        status: line.status.unwrap_or_default(),
        current: bytes(progress.current),
        total: bytes(progress.total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_a_pull() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(digest_line(&format!("Digest: {digest}")).unwrap().as_str(), digest);
        assert_eq!(
            digest_line("Status: Image is up to date for localhost:5000/shop:latest"),
            None
        );
    }

    #[tokio::test]
    async fn no_engine_is_told_with_a_hint() {
        let error = Docker::connect("/nonexistent/docker.sock".into()).await.unwrap_err();
        assert!(
            format!("{error:#}").starts_with("cannot reach Docker at /nonexistent/docker.sock: "),
            "{error:#}"
        );
        assert!(Hinted::find(&error).unwrap().hint().contains("systemctl start docker"));
    }
}
