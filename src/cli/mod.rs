//! The verbs, one a file; the only place that prints.

mod abort;
mod args;
mod completions;
mod confirm;
mod follow;
mod install;
mod man;
mod migrate;
mod output;
mod probe;
mod promote;
mod pull;
mod repair;
mod report;
mod resume;
mod rollback;
mod run;
mod signals;
mod stage;
mod status;
mod steps;
mod switch;
mod uninstall;

use crate::ops::context::Context;

pub use args::{Arguments, Verb};
pub use report::{Ends, Exit, exit_code};

/// Sends logs to stderr: warnings, with `-v` what is done, with `-vv` everything of bgctl's own. Never more of the
/// libraries': the Docker client's debug log holds what is sent, secrets too.
pub fn log(arguments: &Arguments) {
    output::choose_color(arguments.color);
    let level = match arguments.verbose {
        0 => "warn",
        1 => "bgctl=info,warn",
        _ => "bgctl=trace,warn",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::is_stderr_colored())
        .without_time()
        .with_target(false)
        .init();
}

/// Runs the verb. Errors with what [`exit_code`] shows.
pub async fn run(arguments: Arguments) -> Result<Exit, Ends> {
    let context = Context::new(arguments.root, arguments.config);
    match arguments.verb {
        Verb::Install(verb) => install::run(&context, &verb).await,
        Verb::Switch(verb) => Box::pin(switch::run(&context, verb)).await,
        Verb::Stage(verb) => Box::pin(stage::run(&context, verb)).await,
        Verb::Promote(verb) => Box::pin(promote::run(&context, &verb)).await,
        Verb::Rollback(verb) => rollback::run(&context, &verb).await,
        Verb::Status(verb) => {
            let exit = status::run(&context, &verb).await?;
            // The answer is all there is to it.
            output::finish()?;
            Ok(exit)
        }
        Verb::Confirm(verb) => confirm::run(&context, &verb).await,
        Verb::Abort(verb) => abort::run(&context, &verb).await,
        Verb::Resume(verb) => resume::run(&context, &verb).await,
        Verb::Repair(verb) => repair::run(&context, &verb).await,
        Verb::Uninstall(verb) => uninstall::run(&context, &verb).await,
        Verb::Run(verb) => run::run(&context, &verb).await,
        Verb::Migrate(verb) => migrate::run(&context, &verb).await,
        Verb::Probe(verb) => probe::run(&context, &verb).await,
        Verb::Man(verb) => Ok(man::run(&verb)?),
        Verb::Completions(verb) => Ok(completions::run(&verb)?),
    }
}
