//! The command line as clap reads it.

mod release;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::{AppName, Port};

pub use release::{Confirm, Promote, Rollback, Stage, Switch, Watch};

/// Blue-green deployments on plain Linux hosts.
///
/// An app runs as one of two instances of a systemd unit, blue or green; nginx sends every request to the active one. A
/// switch starts a release in the idle color, proves it healthy, moves the traffic at once and without a reload, drains
/// the old color and stops it. Whatever fails on the way is undone, and the active color never notices.
#[derive(Debug, Parser)]
#[command(name = "bgctl", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// Directory to use in the place of /, for images and tests
    #[arg(long, value_name = "DIR", env = "BGCTL_ROOT", default_value = "/", global = true)]
    #[arg(hide_env_values = true, hide_default_value = true, help_heading = GLOBAL)]
    pub root: Utf8PathBuf,
    /// Settings of this host [default: /etc/bgctl/bgctl.toml]
    #[arg(
        long,
        value_name = "FILE",
        env = "BGCTL_CONFIG",
        global = true,
        hide_env_values = true,
        help_heading = GLOBAL
    )]
    pub config: Option<Utf8PathBuf>,
    /// Log more to stderr; twice: even more
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Colorize the output
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto, global = true, help_heading = GLOBAL)]
    pub color: ColorWhen,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The heading of the options that every verb has.
const GLOBAL: &str = "Global options";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed, and rolled back
  2    the command line or a file that a person wrote is wrong
  3    refused: nothing was changed
  4    stuck: manual intervention is required
  5    busy: another bgctl is at work on the app, here or on another host
  70   only of the unit that runs switches: it could not continue, and systemd starts it again
  130  Ctrl-C while following; the switch continues

Answers go to stdout, progress and errors to stderr.";

/// Whether the output is colorized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Not even on a terminal
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "clap takes the help of a verb from its type, unless it stands here"
)]
pub enum Verb {
    Install(Install),
    Switch(Switch),
    Stage(Stage),
    Promote(Promote),
    Confirm(Confirm),
    Rollback(Rollback),
    Status(Status),
    Abort(Abort),
    Resume(Resume),
    Repair(Repair),
    Uninstall(Uninstall),
    Run(Run),
    Migrate(Migrate),
    Probe(Probe),
    Man(Man),
    Completions(Completions),
}

/// Install an app: its systemd unit, its nginx site, its cursor
///
/// Validates the manifest, writes the template unit APP@.service and the nginx site, creates the cursor as `none` if there is
/// none, reloads systemd and nginx. Nothing is started: until the first switch the site answers 503. Doing it again with the same
/// manifest changes nothing; a changed manifest changes what differs. What is installed counts: an edit of
/// /etc/bgctl/apps/APP.toml does when that file is installed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl install shop.toml            install, or change what differs
  bgctl install shop.toml --dry-run  show what would change")]
pub struct Install {
    /// The app's manifest
    #[arg(value_name = "APP.toml")]
    pub manifest: Utf8PathBuf,
    /// Print what would change as a diff of every file, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Restart nginx where it cannot take a listen address by a reload, which cuts what is open
    #[arg(long)]
    pub restart_nginx: bool,
}

/// Show the cursor, the colors, what is staged, an open switch, and drift
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl status              all apps, one line each
  bgctl status shop         one app, in full
  bgctl status shop --json  the same for programs")]
pub struct Status {
    /// The app; all where none is given
    pub app: Option<AppName>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Roll back the switch that is running, or stuck; with none, take down what is staged
///
/// Possible until the old color is drained; from there on a switch only goes forward. Exits with 0 when all is as it was before,
/// and with 3 when it was too late. With no switch open the release that is staged is stopped, and does not come back.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  bgctl abort shop")]
pub struct Abort {
    /// The app
    pub app: AppName,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}

/// Resume the switch that is stuck
///
/// It resumes at the step that it was at, with all its attempts anew. Safe at any moment: a switch that runs is followed, and with
/// none open nothing is done.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  bgctl resume shop")]
pub struct Resume {
    /// The app
    pub app: AppName,
    /// How to follow it
    #[command(flatten)]
    pub watch: Watch,
}

/// Remove drift: what differs from what should be
///
/// Units that somebody stopped, masked or disabled, units and sites that somebody edited or removed, a route, a cursor or a
/// record that is gone, wrong or damaged. The color that answers users is never touched; where none answers the one that should
/// is started. What a person wrote is kept in /etc/bgctl/saved; drop-ins and include files stay as they are. Safe at any
/// moment: refused while a switch runs, and the second time nothing is done; of a switch that is stuck it repairs what the switch
/// does not move itself, and leaves the rest to `bgctl resume`. Exits with 4 if manual intervention is required for the rest.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl repair shop            puts it right
  bgctl repair shop --dry-run  says what it would do")]
pub struct Repair {
    /// The app
    pub app: AppName,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Stop, disable and remove what install wrote
///
/// Asks first. Refused where the site or the unit was changed by hand since. A cursor in etcd goes for all hosts that share it:
/// use --keep-state on all of them but the last.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bgctl uninstall shop               asks, then removes everything of it
  bgctl uninstall shop --keep-state  keeps releases, journal and cursor")]
pub struct Uninstall {
    /// The app
    pub app: AppName,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Keep releases, journal and cursor; installed again it answers 503 until a switch
    #[arg(long)]
    pub keep_state: bool,
    /// Restart nginx where what is left of its listen addresses can be taken only so, which cuts what is open
    #[arg(long)]
    pub restart_nginx: bool,
}

/// Run the open switch of an app to its end; for bgctl-switch@APP.service
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Run {
    /// The app
    pub app: AppName,
}

/// Give an app of bgctl 0.1.0 a route, while one of its switches is open; for bgctl-switch@APP.service
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Migrate {
    /// The app
    pub app: AppName,
}

/// Wait until the instance on a port is healthy; for APP@PORT.service
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Probe {
    /// The app
    pub app: AppName,
    /// The port
    pub port: Port,
}

/// Write the manual pages below a directory, into man5, man7 and man8; for packages
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Man {
    /// The directory, as in /usr/local/share/man
    #[arg(value_name = "DIR")]
    pub folder: Utf8PathBuf,
}

/// Print the completions of a shell; for packages
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
