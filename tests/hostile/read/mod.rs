//! Readers of what bgctl writes, made from what systemd, docker, nginx, env and sh do and not from what bgctl does.

pub mod container_env;
pub mod env;
pub mod env_split;
pub mod nginx;
pub mod sh;
pub mod unit;
