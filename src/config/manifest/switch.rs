//! `[switch]`: how a new release takes the place of the old one.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::written;
use crate::config::error::Problem;
use crate::model::{Companion, Protocol, Site, Strategy, StrategyName};

const HOLD: Duration = Duration::from_secs(10);
const HOLDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// How a switch goes that has `drain`, `site` and `companions`.
pub(super) fn validate(
    written: &written::Switch,
    drain: &written::Drain,
    site: &Site,
    companions: &[Companion],
) -> Result<Strategy, Problem> {
    let name = written.strategy.as_ref();
    let Some(name) = name.filter(|name| *name.get_ref() == StrategyName::StopFirst) else {
        return match &written.hold {
            None => Ok(Strategy::BlueGreen),
            Some(hold) => Err(Problem::at(
                hold.span(),
                "cannot use hold without strategy = \"stop-first\": no request has to wait in a blue-green switch",
            )),
        };
    };
    alone(name.span(), drain, site, companions)?;
    let (hold, place) = match &written.hold {
        Some(hold) => (hold.get_ref().0, hold.span()),
        None => (HOLD, name.span()),
    };
    if !HOLDS.contains(&hold) {
        let message = format!("cannot use {hold:?} as hold: it must be from 1s to 10m");
        return Err(Problem::at(place, message));
    }
    let locations = site.locations.iter();
    let locations = locations.map(|location| (location.path.as_str(), location.read_timeout, location.send_timeout));
    for (path, read, send) in [("/", site.read_timeout, site.send_timeout)]
        .into_iter()
        .chain(locations)
    {
        for (key, timeout) in [("read_timeout", read), ("send_timeout", send)] {
            if timeout <= hold {
                let message = format!(
                    "cannot hold requests for {hold:?} (hold): nginx gives those for {path} up after {timeout:?} ({key})"
                );
                return Err(Problem::at(place, message));
            }
        }
    }
    Ok(Strategy::StopFirst { hold })
}

/// Refuses what needs the other color as well.
fn alone(place: Range<usize>, drain: &written::Drain, site: &Site, companions: &[Companion]) -> Result<(), Problem> {
    let speaks_grpc = site.protocol == Protocol::Grpc
        || site
            .locations
            .iter()
            .any(|location| location.protocol == Protocol::Grpc);
    let cases = [
        (drain.keep_warm, "keep_warm", "only one color ever runs"),
        (
            !site.shared_paths.is_empty(),
            "shared_paths",
            "the other color, which would be asked, never runs",
        ),
        (
            !companions.is_empty(),
            "[[companion]]",
            "it would run beside the new color, and have the data open as well",
        ),
        (
            speaks_grpc,
            "protocol = \"grpc\"",
            "nginx passes such requests on while they still come, and they could not be held",
        ),
    ];
    match cases.into_iter().find(|(is_set, ..)| *is_set) {
        Some((_, key, why)) => {
            let message = format!("cannot use {key} with strategy = \"stop-first\": {why}");
            Err(Problem::at(place, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::manifest::parse;

    const HEAD: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop\"\n";
    const STOP_FIRST: &str = "[switch]\nstrategy = \"stop-first\"\n";

    #[test]
    fn strategy_comes_with_its_times() {
        let read = |tail: &str| {
            let app = parse(&format!("{HEAD}{tail}"), "shop.toml").unwrap();
            (app.strategy, app.drain_timeout().as_secs())
        };
        let stop_first = |seconds| Strategy::StopFirst {
            hold: Duration::from_secs(seconds),
        };
        assert_eq!(read(""), (Strategy::BlueGreen, 30));
        assert_eq!(read("[switch]\nstrategy = \"blue-green\"\n"), (Strategy::BlueGreen, 30));
        assert_eq!(read(STOP_FIRST), (stop_first(10), 5), "half of hold");
        assert_eq!(read(&format!("{STOP_FIRST}hold = \"20s\"\n")), (stop_first(20), 10));
        assert_eq!(
            read(&format!("{STOP_FIRST}[drain]\ntimeout = \"1s\"\n")),
            (stop_first(10), 1)
        );
    }

    #[test]
    fn keys_that_do_not_fit_are_refused() {
        let cases = [
            (
                "[switch]\nhold = \"5s\"\n".to_owned(),
                "cannot use hold without strategy",
            ),
            ("[switch]\nstrategy = \"recreate\"\n".to_owned(), "blue-green"),
            (format!("{STOP_FIRST}hold = \"0s\"\n"), "it must be from 1s to 10m"),
            (format!("{STOP_FIRST}hold = \"11m\"\n"), "it must be from 1s to 10m"),
            (
                format!("{STOP_FIRST}hold = \"1m\"\n"),
                "cannot hold requests for 60s (hold): nginx gives those for / up after 60s (read_timeout)",
            ),
            (
                format!("{STOP_FIRST}[[nginx.location]]\npath = \"/api/\"\nsend_timeout = \"9s\"\n"),
                "nginx gives those for /api/ up after 9s (send_timeout)",
            ),
            (
                format!("{STOP_FIRST}[drain]\nkeep_warm = true\n"),
                "cannot use keep_warm with",
            ),
            (
                format!("{STOP_FIRST}[nginx]\nshared_paths = [\"/assets/\"]\n"),
                "cannot use shared_paths with",
            ),
            (
                format!("{STOP_FIRST}[nginx]\nprotocol = \"grpc\"\nlisten = [{{ address = \"80\", http2 = true }}]\n"),
                "cannot use protocol = \"grpc\" with",
            ),
        ];
        for (tail, reason) in cases {
            let error = parse(&format!("{HEAD}{tail}"), "shop.toml").unwrap_err();
            assert!(error.message().contains(reason), "{tail}: {error}");
        }
    }
}
