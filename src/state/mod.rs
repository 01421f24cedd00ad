//! What bgctl keeps on a host, below `/var/lib/bgctl`.
//!
//! * [`releases`], [`switches`]: what is on record
//! * [`pins`]: what runs in each color from its next start on
//! * [`companions`]: what runs beside it
//! * [`staged`]: what is staged
//! * [`known`], [`deferred`]: the cursor while its store is away
//! * [`saved`]: what a repair took out of the way

pub mod companions;
pub mod deferred;
pub mod known;
pub mod pins;
pub mod releases;
pub mod saved;
pub mod staged;
pub mod switches;
