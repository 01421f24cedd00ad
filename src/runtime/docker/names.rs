//! Names of repositories as Docker reads them (distribution's reference grammar, "familiar names").

use bollard::models::ImageInspect;

use crate::model::Digest;

/// Where Docker keeps the login of Docker Hub in its `config.json`.
const HUB: &str = "https://index.docker.io/v1/";

/// The registry of a repository, as Docker's `config.json` names it: the first part, where that looks like a host.
pub(super) fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some(("docker.io" | "index.docker.io", _)) | None => HUB,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        Some(_) => HUB,
    }
}

/// A repository as the engine names it in its own lists: without what stands for Docker Hub.
fn familiar(repository: &str) -> &str {
    let name = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|hub| repository.strip_prefix(hub))
        .unwrap_or(repository);
    name.strip_prefix("library/").unwrap_or(name)
}

/// The digest that an image of this host has in a repository; none where it never was there.
pub(super) fn digest_in(image: &ImageInspect, repository: &str) -> Option<Digest> {
    let digests = image.repo_digests.iter().flatten();
    digests
        .filter_map(|digest| digest.split_once('@'))
        .find(|(name, _)| familiar(name) == familiar(repository))
        .and_then(|(_, digest)| Digest::parse(digest).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries() {
        let cases = [
            ("shop", HUB),
            ("library/shop", HUB),
            ("docker.io/acme/shop", HUB),
            ("acme/shop", HUB),
            ("localhost/shop", "localhost"),
            ("localhost:5000/shop", "localhost:5000"),
            ("ghcr.io/acme/shop", "ghcr.io"),
        ];
        for (repository, expected) in cases {
            assert_eq!(registry(repository), expected, "{repository}");
        }
    }

    #[test]
    fn image_has_a_digest_in_each_repository_it_was_in() {
        let digest = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
        let image = ImageInspect {
            repo_digests: Some(vec![
                format!("nginx@{}", digest(1)),
                format!("localhost:5000/shop@{}", digest(2)),
            ]),
            ..ImageInspect::default()
        };
        let found = |repository| digest_in(&image, repository).map(|digest| digest.to_string());
        assert_eq!(found("docker.io/library/nginx"), Some(digest(1)));
        assert_eq!(found("localhost:5000/shop"), Some(digest(2)));
        assert_eq!(found("shop"), None);
        assert_eq!(digest_in(&ImageInspect::default(), "shop"), None);
    }
}
