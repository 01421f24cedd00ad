//! Readers of what bgctl writes, made from what systemd, nginx and sh do and not from what bgctl does.

pub mod env;
pub mod nginx;
pub mod sh;
pub mod unit;
