//! `[[companion]]`.

use toml::Spanned;

use super::{above_zero, run, written};
use crate::config::error::Problem;
use crate::model::{Companion, REPLICAS_MAX, Run};

/// The companions of an app, in the order of the manifest; what is not said is as in `run`.
pub(super) fn validate(written: Vec<Spanned<written::Companion>>, run: &Run) -> Result<Vec<Companion>, Problem> {
    let mut companions: Vec<Companion> = Vec::new();
    for one in written {
        let place = one.span();
        let companion = validate_one(one.into_inner(), run).map_err(|problem| problem.or_at(&place))?;
        if companions.iter().any(|other| other.name == companion.name) {
            let message = format!("cannot have two companions named {}", companion.name);
            return Err(Problem::at(place, message));
        }
        companions.push(companion);
    }
    Ok(companions)
}

fn validate_one(written: written::Companion, run: &Run) -> Result<Companion, Problem> {
    let mut arguments = Vec::new();
    for argument in written.args {
        let place = argument.span();
        let argument = argument.into_inner().0;
        let ports = [("{port}", "{port}"), ("{port.", "{port.NAME}")];
        if let Some((_, placeholder)) = ports.iter().find(|(start, _)| argument.contains(start)) {
            let message = format!("cannot use {placeholder} here: a companion has no port");
            return Err(Problem::at(place, message));
        }
        arguments.push(argument);
    }
    let minimum = run::memory_min(&run.runtime);
    Ok(Companion {
        name: written.name,
        arguments,
        memory: run::memory(written.memory, minimum)?.or(run.memory),
        replicas: replicas(written.replicas)?,
        quiet_signal: written.quiet_signal,
        stop_timeout: above_zero(written.stop_timeout, run.stop_timeout, "stop_timeout")?,
        overlap: written.overlap,
    })
}

fn replicas(written: Option<Spanned<u8>>) -> Result<u8, Problem> {
    match written {
        None => Ok(1),
        Some(number) if (1..=REPLICAS_MAX).contains(number.get_ref()) => Ok(number.into_inner()),
        Some(number) => {
            let message = format!(
                "cannot run {} replicas: 1 to {REPLICAS_MAX} are possible",
                number.get_ref()
            );
            Err(Problem::at(number.span(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::manifest::parse;

    const HEAD: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop\"\nmemory = \"64M\"\n";

    #[test]
    fn keys_that_are_left_out_are_as_in_run() {
        let text = format!(
            "{HEAD}stop_timeout = \"7s\"\n[[companion]]\nname = \"worker\"\n[[companion]]\nname = \"mail\"\nreplicas = 2\n"
        );
        let app = parse(&text, "shop.toml").unwrap();
        let names: Vec<_> = app.companions.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["worker", "mail"]);
        let worker = &app.companions[0];
        assert_eq!((worker.replicas, worker.memory), (1, Some(64 << 20)));
        assert_eq!((worker.stop_timeout, worker.overlap), (Duration::from_secs(7), false));
        assert_eq!(app.companions[1].replicas, 2);
    }

    #[test]
    fn companions_that_cannot_be_are_refused_by_name() {
        for (lines, told) in [
            ("", "missing field `name`"),
            ("name = \"Worker\"", "the name of a companion"),
            (
                "name = \"a\"\nargs = [\"--port={port}\"]",
                "cannot use {port} here: a companion has no port",
            ),
            (
                "name = \"a\"\nargs = [\"{port.metrics}\"]",
                "cannot use {port.NAME} here: a companion has no port",
            ),
            (
                "name = \"a\"\nreplicas = 0",
                "cannot run 0 replicas: 1 to 16 are possible",
            ),
            (
                "name = \"a\"\nreplicas = 17",
                "cannot run 17 replicas: 1 to 16 are possible",
            ),
            ("name = \"a\"\nquiet_signal = \"KILL\"", "a signal"),
            ("name = \"a\"\nstop_timeout = \"0s\"", "cannot use 0 as stop_timeout"),
            ("name = \"a\"\nmemory = \"1K\"", "cannot use so little memory"),
            (
                "name = \"a\"\n[[companion]]\nname = \"a\"",
                "cannot have two companions named a",
            ),
            ("name = \"a\"\nport = 9001", "port"),
        ] {
            let error = parse(&format!("{HEAD}[[companion]]\n{lines}\n"), "shop.toml").unwrap_err();
            assert!(error.to_string().contains(told), "{lines}: {error}");
        }
    }
}
