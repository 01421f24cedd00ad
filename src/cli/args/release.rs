//! The verbs that move an app from release to release.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;

use crate::config::parse_time;
use crate::model::{AppName, ImageRef, Invalid, ReleaseId};
use crate::ops::switch;

/// Make a new release active, without dropping a request
///
/// Pulls and pins the image, starts it in the idle color, waits until it is healthy, verifies it, moves the cursor and the
/// traffic, drains the old color and stops it. The work is done by bgctl-switch@APP.service: closing this command or losing the
/// connection stops nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl switch shop                                      the manifest's image, resolved anew
  bgctl switch shop --image registry.example/shop:1.2.3  another image
  bgctl switch shop --exec /opt/shop-1.2.3/bin/shop      another program
  bgctl switch shop --release 1.2.3 --json               for a pipeline
  bgctl switch shop --confirm-within 5m                  rolled back unless confirmed in time
  bgctl switch shop --follow                             watch the one that runs")]
pub struct Switch {
    /// The app
    pub app: AppName,
    /// What to run
    #[command(flatten)]
    pub wanted: Wanted,
    /// Whether it has to be confirmed
    #[command(flatten)]
    pub confirm: ConfirmWithin,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
    /// Start nothing; follow the switch that is running
    #[arg(long, conflicts_with_all = ["image", "exec", "release", "confirm_within", "detach"])]
    pub follow: bool,
}

/// Prove a new release in the idle color, and leave it there without traffic
///
/// Does what a switch does up to where the traffic moves: pulls and pins the image, starts it in the idle color, waits until it is
/// healthy, and verifies it. There it stays, also after a reboot, until `bgctl promote` moves the traffic to it, `bgctl abort` takes
/// it down, or another release takes its place; [stage] expires in the manifest says for how long it can be promoted.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl stage shop                                      the manifest's image, resolved anew
  bgctl stage shop --image registry.example/shop:1.2.3  another image
  bgctl stage shop --exec /opt/shop-1.2.3/bin/shop      another program")]
pub struct Stage {
    /// The app
    pub app: AppName,
    /// What to run
    #[command(flatten)]
    pub wanted: Wanted,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}

/// Make the release that is staged active, without dropping a request
///
/// Moves the traffic to exactly what was staged and verified: refused where anything of it was changed since, where it has
/// expired, or where it is not healthy once more. Goes on as a switch does; what fails after that moves the traffic back, and the
/// release is staged as before.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  bgctl promote shop")]
pub struct Promote {
    /// The app
    pub app: AppName,
    /// Whether it has to be confirmed
    #[command(flatten)]
    pub confirm: ConfirmWithin,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}

/// Keep a release that waits to be confirmed
///
/// A switch or a promote with --confirm-within, or `confirm_within` in the manifest, is rolled back unless this comes in time. It
/// is possible as soon as the release takes traffic. Follows the switch to its end, and exits as it does.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  bgctl confirm shop  after bgctl switch shop --confirm-within 5m")]
pub struct Confirm {
    /// The app
    pub app: AppName,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}

/// Whether a release that takes traffic has to be confirmed.
#[derive(Args, Clone, Copy, Debug)]
pub struct ConfirmWithin {
    /// Roll it back unless `bgctl confirm` comes within this time after its bake, as in 5m
    #[arg(long, value_name = "TIME", value_parser = more_than_zero)]
    confirm_within: Option<Duration>,
}

impl ConfirmWithin {
    /// The time; `None` where the manifest decides.
    pub fn within(self) -> Option<Duration> {
        self.confirm_within
    }
}

fn more_than_zero(text: &str) -> Result<Duration, Invalid> {
    match parse_time(text)? {
        Duration::ZERO => Err(Invalid::value("a time", text, "it must be more")),
        time => Ok(time),
    }
}

/// What a new release is made of.
#[derive(Args, Debug)]
pub struct Wanted {
    /// Image to run instead of the manifest's
    #[arg(long, value_name = "REF", conflicts_with = "exec")]
    pub image: Option<ImageRef>,
    /// Program to run instead of the manifest's
    #[arg(long, value_name = "PATH")]
    pub exec: Option<Utf8PathBuf>,
    /// Name of the release [default: the next number, as in r7]
    #[arg(long, value_name = "NAME")]
    pub release: Option<ReleaseId>,
}

impl From<Wanted> for switch::Wanted {
    fn from(wanted: Wanted) -> Self {
        let Wanted { image, exec, release } = wanted;
        Self {
            image,
            exec,
            release,
            confirm_within: None,
        }
    }
}

/// How to follow a switch.
#[derive(Args, Clone, Copy, Debug)]
pub struct Watch {
    /// Do not wait for the end
    #[arg(long)]
    pub detach: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Make the previous release active again, with its own image, environment and settings
///
/// While the old color is still up only the traffic moves; otherwise it is started and proven first, as in a switch.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl rollback shop             the release that was active before
  bgctl rollback shop --to 1.2.2  a release by its name
  bgctl rollback shop --local     this host alone, while etcd is away")]
pub struct Rollback {
    /// The app
    pub app: AppName,
    /// Release to roll back to [default: the one that was active before]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<ReleaseId>,
    /// Move this host alone, without etcd, which learns of it when it is back unless another host moved the cursor meanwhile
    #[arg(long)]
    pub local: bool,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}
