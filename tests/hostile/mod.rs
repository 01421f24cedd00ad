//! What comes from outside, and what must hold whatever it is: each function takes any bytes as one such input and panics where
//! anything of it got out of its place. `tests/hostile.rs` runs them on generated values and on the corpora, `tests/fuzz` on
//! what libFuzzer finds.

pub mod docker;
pub mod env_file;
pub mod etcd;
pub mod http;
pub mod manifest;
pub mod read;
pub mod rendered;
pub mod state;

/// An input, by its name in `tests/fuzz`.
pub type Check = fn(&[u8]);

/// All of them.
pub const ALL: [(&str, Check); 6] = [
    ("manifest", manifest::check),
    ("state", state::check),
    ("env_file", env_file::check),
    ("etcd", etcd::check),
    ("http", http::check),
    ("docker", docker::check),
];

/// Fails where a text that people read could steer their terminal, or could be endless.
fn assert_readable(text: &str) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
}
