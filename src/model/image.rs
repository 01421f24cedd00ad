//! Container images: what a person names, and what it was pinned to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::name::name;

/// When the registry is asked what an image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Whenever a tag is given: it may have moved.
    #[default]
    Always,
    /// Where there is no image of that name on this host.
    Missing,
}

name!(
    /// A reference to an image as a person writes it: `[REGISTRY/]NAME[:TAG][@sha256:...]`, or `sha256:...` for an
    /// image of this host.
    ///
    /// Docker's own parser has the last word (distribution's reference grammar); here only what could be taken for an
    /// option, or break a line, is refused.
    ImageRef,
    check_reference
);

name!(
    /// A sha256 digest, `sha256:` and 64 hexadecimal digits: of an image's manifest in a registry, or its id on a host.
    Digest,
    check_digest
);

fn check_reference(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("an image reference", text, reason));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it must start with a letter or digit");
    }
    if text.len() > 512 {
        return refuse("it is longer than 512 characters");
    }
    match text.chars().find(|c| !plain(*c)) {
        Some(odd) => refuse(&format!("{odd:?} has no place in one")),
        None => Ok(()),
    }
}

fn check_digest(text: &str) -> Result<(), Invalid> {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Invalid::value(
        "a digest",
        text,
        "it is not sha256: and 64 hexadecimal digits",
    ))
}

impl ImageRef {
    /// The reference without its tag and digest, as in `localhost:5000/shop`.
    pub fn repository(&self) -> &str {
        let text = self.as_str().split('@').next().unwrap_or_default();
        match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => text,
        }
    }

    /// The tag, `latest` where none is written and no digest either (as Docker reads it).
    pub fn tag(&self) -> Option<&str> {
        let (text, digest) = match self.as_str().split_once('@') {
            Some((text, digest)) => (text, Some(digest)),
            None => (self.as_str(), None),
        };
        match text.rsplit_once(':') {
            Some((_, tag)) if !tag.contains('/') => Some(tag),
            _ if digest.is_some() => None,
            _ => Some("latest"),
        }
    }

    /// The digest that is part of the reference.
    pub fn digest(&self) -> Option<Digest> {
        let (_, digest) = self.as_str().split_once('@')?;
        Digest::parse(digest).ok()
    }
}

/// What an image reference meant at one moment: a content address, which can only ever mean one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolvedImage {
    /// In a registry: repository and manifest digest.
    Registry {
        /// As in `localhost:5000/shop`.
        repository: ImageRef,
        /// The manifest's digest.
        digest: Digest,
    },
    /// Built or imported on this host and in no registry: the image's id.
    Local {
        /// The id.
        id: Digest,
    },
}

impl ResolvedImage {
    /// The reference that names exactly this image: `REPOSITORY@sha256:...`, or the image's id. Errors with [`Invalid`] where
    /// that is longer than a reference may be.
    pub fn reference(&self) -> Result<ImageRef, Invalid> {
        ImageRef::parse(self.to_string())
    }
}

impl fmt::Display for ResolvedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { repository, digest } => write!(f, "{repository}@{digest}"),
            Self::Local { id } => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_as_docker_does() {
        let cases = [
            ("shop", "shop", Some("latest")),
            ("shop:1", "shop", Some("1")),
            ("localhost:5000/shop", "localhost:5000/shop", Some("latest")),
            ("localhost:5000/a/shop:2.0", "localhost:5000/a/shop", Some("2.0")),
        ];
        for (text, repository, tag) in cases {
            let reference = ImageRef::parse(text).unwrap();
            assert_eq!((reference.repository(), reference.tag()), (repository, tag), "{text}");
            assert_eq!(reference.digest(), None);
        }
        let digest = format!("sha256:{}", "0a".repeat(32));
        let pinned = ImageRef::parse(format!("localhost:5000/shop@{digest}")).unwrap();
        assert_eq!((pinned.repository(), pinned.tag()), ("localhost:5000/shop", None));
        assert_eq!(pinned.digest().unwrap().as_str(), digest);
    }

    #[test]
    fn text_that_could_be_an_option_or_break_a_line_is_refused() {
        for bad in ["", "--privileged", "a b", "a\nb", "$(x)", "a%b"] {
            assert!(ImageRef::parse(bad).is_err(), "{bad}");
        }
        assert!(Digest::parse("sha256:12").is_err());
    }
}
