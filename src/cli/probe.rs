//! `bgctl probe`: the health gate in `APP@PORT.service`.

use crate::host::tell;
use crate::ops::context::Context;
use crate::ops::probe::{self, Asked, Probed};

use super::args;
use super::output;
use super::report::{Ends, Exit};

/// Waits until the instance is healthy, and tells systemd how that went.
pub async fn run(context: &Context, verb: &args::Probe) -> Result<Exit, Ends> {
    let (app, port) = (&verb.app, verb.port);
    match probe::run(context, &Asked { app, port }).await? {
        Probed::Healthy(healthy, warning) => {
            if let Some(warning) = warning {
                output::warning(&warning);
            }
            let took = output::duration(healthy.took);
            tell(&format!("healthy after {took} ({} tries)", healthy.tries));
        }
        Probed::LeftRunning(error) => {
            tell(&format!("not healthy, and left running since it is active: {error}"));
            output::warning(&format!("{error:#}; it is the active color, and is left running"));
        }
        Probed::Unhealthy(error) => {
            tell(&format!("{error:#}"));
            return Err(Ends::with(Exit::Failed)(error));
        }
    }
    Ok(Exit::Done)
}
