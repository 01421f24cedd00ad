//! What runs an instance beside systemd: container engines.

pub mod docker;
