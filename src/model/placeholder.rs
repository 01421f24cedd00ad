//! What stands for something of one instance in arguments, variables and options: `{port}`, `{color}`, `{release}`, `{app}`, and
//! `{port.NAME}` for the other ports of a color.

use std::collections::BTreeMap;

use super::{App, ByColor, Color, Invalid, Port, PortName, ReleaseId};

/// Those that every instance has.
const ALWAYS: [&str; 4] = ["{port}", "{color}", "{release}", "{app}"];

/// How one begins that names another port.
const EXTRA: &str = "{port.";

/// What they stand for in one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholders(Vec<(String, String)>);

impl Placeholders {
    /// Those of the instance of `color` that runs `release` and listens on `port`.
    pub fn new(app: &App, color: Color, release: &ReleaseId, port: Port) -> Self {
        let values = [
            port.to_string(),
            color.to_string(),
            release.to_string(),
            app.name.to_string(),
        ];
        let always = ALWAYS.map(str::to_owned).into_iter().zip(values);
        let extra = app.extra_ports.iter();
        let extra = extra.map(|(name, ports)| (format!("{EXTRA}{name}}}"), ports.get(color).to_string()));
        Self(always.chain(extra).collect())
    }

    /// The text with what they stand for. Errors with [`Invalid`] where it names a port that the app does not have.
    pub fn fill(&self, text: &str) -> Result<String, Invalid> {
        let fill = |text: String, (placeholder, value): &(String, String)| text.replace(placeholder, value);
        let filled = self.0.iter().fold(text.to_owned(), fill);
        match extra_ports(text).find(|name| !self.has_port(name)) {
            Some(name) => Err(no_port(name)),
            None => Ok(filled),
        }
    }

    fn has_port(&self, name: &str) -> bool {
        let placeholder = format!("{EXTRA}{name}}}");
        self.0.iter().any(|(known, _)| *known == placeholder)
    }
}

/// Whether there is a placeholder in a text.
pub fn has_placeholder(text: &str) -> bool {
    ALWAYS.iter().any(|placeholder| text.contains(placeholder)) || extra_ports(text).next().is_some()
}

/// Errors with [`Invalid`] where a text names a port that is none of `known`.
pub fn check_placeholders(text: &str, known: &BTreeMap<PortName, ByColor<Port>>) -> Result<(), Invalid> {
    match extra_ports(text).find(|name| !known.keys().any(|known| known.as_str() == *name)) {
        Some(name) => Err(no_port(name)),
        None => Ok(()),
    }
}

fn no_port(name: &str) -> Invalid {
    Invalid::new(format!(
        "cannot use {EXTRA}{name}}}: [ports.extra] has no port of this name"
    ))
}

/// The names of other ports in a text.
fn extra_ports(text: &str) -> impl Iterator<Item = &str> {
    let named = text.split(EXTRA).skip(1).filter_map(|rest| rest.split_once('}'));
    named
        .map(|(name, _)| name)
        .filter(|name| PortName::parse(*name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders() -> Placeholders {
        let pairs = [("{port}", "8080"), ("{color}", "blue"), ("{port.metrics}", "9101")];
        Placeholders(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    #[test]
    fn they_are_filled_in_and_the_rest_stays() {
        let fill = |text| placeholders().fill(text).unwrap();
        assert_eq!(fill("{port}/{color}:{port.metrics}"), "8080/blue:9101");
        for text in [
            "",
            "{\"port\": {}}",
            "{Port}",
            "{port.}",
            "{port.A b}",
            "{port.metrics",
            "${port",
        ] {
            assert_eq!(fill(text), text);
            assert!(!has_placeholder(text), "{text}");
        }
        assert!(has_placeholder("a{app}") && has_placeholder("{port.other}"));
    }

    #[test]
    fn port_that_there_is_not_is_named() {
        let error = placeholders().fill("{port.metrics}{port.admin}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use {port.admin}: [ports.extra] has no port of this name"
        );
        let port = |number| Port::new(number).unwrap();
        let ports = ByColor {
            blue: port(9101),
            green: port(9102),
        };
        let known = BTreeMap::from([(PortName::parse("metrics").unwrap(), ports)]);
        assert!(check_placeholders("{port.metrics}", &known).is_ok());
        assert!(check_placeholders("{port.admin}", &known).is_err());
    }
}
