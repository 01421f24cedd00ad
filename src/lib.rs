//! Blue-green deployments on plain Linux hosts.
//!
//! An app runs as one of two instances of a templated systemd unit, `APP@PORT.service`: blue on one port, green on the
//! other. nginx stands in front and sends every request to the color that a link, the *route*, leads to. A *switch* starts a new
//! release in the idle color, proves it healthy, moves the cursor and the route, drains the old color and stops it.
//!
//! # The map
//!
//! Pure, no I/O and no clock:
//!
//! * [`model`]: the nouns, parsed in their constructors
//! * [`config`]: TOML to validated settings and manifest
//! * [`plan`]: from what is wanted and what was observed to a list of steps, each with its undo and its reason
//! * [`drift`]: what differs on a host from what should be, and what repairs it
//! * [`journal`]: the events of a switch, and what comes next after them
//! * [`render`]: the unit, the nginx site and the environment file as text
//!
//! Effects:
//!
//! * [`engine`]: the one loop that takes a switch from event to event
//! * [`files`]: reading and writing so that nothing is lost, and nothing else is read or written
//! * [`store`]: where the cursor lives: etcd or a local file
//! * [`host`]: this machine: systemd, connections, processes, programs
//! * [`state`]: what bgctl keeps on the host: releases, switches, what is known of the cursor
//! * [`proxy`]: nginx: the site and the route
//! * [`runtime`]: Docker: images and containers
//! * [`ops`]: the use cases; prints nothing
//! * [`cli`]: the verbs; the only place that prints
//!
//! `tests/imports.rs` holds the table of which module may import which.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod cli;
pub mod config;
pub mod drift;
pub mod engine;
pub mod files;
pub mod host;
pub mod journal;
pub mod model;
pub mod ops;
pub mod plan;
pub mod proxy;
pub mod render;
pub mod runtime;
pub mod state;
pub mod store;
