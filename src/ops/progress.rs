//! What a use case tells while it is under way.

use crate::model::{ImageRef, ResolvedImage, Staged};
use crate::runtime::docker::PullEvent;

/// What a use case tells while it is under way.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Something that an operator should know, and that stops nothing.
    Warning(&'a str),
    /// What is about to begin takes the place of what is staged.
    Replaces(&'a Staged),
    /// An image is pulled.
    Pulling {
        /// The image.
        image: &'a ImageRef,
        /// How far it is.
        event: &'a PullEvent,
    },
    /// An image is pinned, and pulled where a registry has it.
    Resolved {
        /// What was asked for.
        image: &'a ImageRef,
        /// What that is.
        to: &'a ResolvedImage,
    },
}
