//! `bench`: measures bgctl on the host that it runs on, and other ways to do the same beside it. Started by
//! `vagrant/sandbox bench` in a host that nobody needs: it changes the host's settings and installs apps.
//!
//! | module | what |
//! |---|---|
//! | [`figure`] | a figure with its target; the table and the JSON |
//! | [`host`] | commands, requests and times on this host |
//! | [`app`], [`switch`] | an installed app; one switch of it, with the times of its steps |
//! | [`load`] | requests that flow meanwhile, and what became of each |
//! | [`parts`] | what is measured |

mod app;
mod figure;
mod host;
mod load;
mod machine;
mod parts;
mod switch;

use std::process::ExitCode;

use clap::Parser;
use fs_err as fs;

use figure::Figure;
use parts::Part;

/// Measures bgctl on this host.
///
/// Exit code 0: everything was measured, whether it meets its target or not, and no request failed; 1 otherwise.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// What to measure [default: everything]
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// Fewer runs of everything
    #[arg(long)]
    quick: bool,
    /// Switches in all under requests, over both runtimes [default: 200; quick: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    switches: Option<u32>,
    /// Folder for the JSON files
    #[arg(long, value_name = "DIR", default_value = "/vagrant/target/bench")]
    out: String,
}

/// What every part is told.
#[derive(Clone, Copy, Debug)]
struct Effort {
    quick: bool,
    switches: u32,
}

impl Effort {
    /// So many runs, or fewer where it has to be quick.
    fn runs(self, full: u32, quick: u32) -> u32 {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            host::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures, writes and prints; whether no figure that has to be zero is anything else.
fn run(options: &Options) -> eyre::Result<bool> {
    let effort = Effort {
        quick: options.quick,
        switches: options.switches.unwrap_or(if options.quick { 20 } else { 200 }),
    };
    let parts = if options.parts.is_empty() {
        Part::ALL.to_vec()
    } else {
        options.parts.clone()
    };
    fs::create_dir_all(&options.out)?;
    let machine = machine::describe()?;
    let mut all = Vec::new();
    for part in parts {
        host::say(&format!("==> {}", part.title()));
        let command = format!(
            "vagrant/sandbox bench {}{}",
            part.name(),
            if effort.quick { " --quick" } else { "" }
        );
        let figures: Vec<Figure> = part
            .measure(effort)?
            .into_iter()
            .map(|figure| figure.by(&command))
            .collect();
        let json = serde_json::json!({ "part": part.name(), "machine": machine, "figures": figures });
        fs::write(
            format!("{}/{}.json", options.out, part.name()),
            serde_json::to_vec_pretty(&json)?,
        )?;
        // Also while it runs: a run that breaks off has shown what it knew.
        host::say(&figure::table(&figures));
        all.extend(figures);
    }
    answer(&format!("{}\n{}", machine::in_words(&machine), figure::table(&all)));
    Ok(all.iter().all(Figure::is_no_failure))
}

/// Prints the answer.
#[expect(clippy::print_stdout, reason = "the table is the answer")]
fn answer(text: &str) {
    println!("{text}");
}
