//! The load that demo, system tests and benchmarks put on a site, with every request accounted for.
//!
//! A request that was written is either answered, whole and right, or it is a failure with a kind: there is no retry
//! anywhere. Only what a client may always do is done in silence: a connection that the server closed between two
//! requests is opened anew.
//!
//! | module | what |
//! |---|---|
//! | [`options`] | the command line, and what it may ask for |
//! | [`target`] | where load may go: this machine, and its containers |
//! | [`run()`] | one run, from the first connection to the report |
//! | [`report`], `summary` | what is told at the end: to programs, to people |
//! | `connection` | one connection: open, exchange |
//! | `failure` | the kinds of failure |
//! | `worker` | keep-alive connections with short requests |
//! | `transfer`, `websocket` | long ones: downloads, uploads, websockets |
//! | `pace` | when the next request is due |
//! | `tally`, `histogram`, `samples`, `ledger` | counting |

mod check;
mod clock;
mod connection;
mod failure;
mod histogram;
mod ledger;
pub mod options;
mod pace;
pub mod report;
mod run;
mod samples;
mod summary;
mod tally;
pub mod target;
mod transfer;
mod websocket;
mod worker;

pub use failure::Kind;
pub use options::Options;
pub use report::Report;
pub use run::{Error, run};
