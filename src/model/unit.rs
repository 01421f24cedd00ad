//! Names of systemd units.

use std::fmt;

use super::{AppName, Port};

/// The full name of a systemd unit that bgctl works with, as in `bdd-assistant@9001.service`.
///
/// Built from parsed names only, so it is valid as systemd.unit(5) asks and needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(String);

impl UnitName {
    /// The instance of an app on a port: `APP@PORT.service`.
    pub fn instance(app: &AppName, port: Port) -> Self {
        Self(format!("{app}@{port}.service"))
    }

    /// The template that the instances of an app come from: `APP@.service`.
    pub fn template(app: &AppName) -> Self {
        Self(format!("{app}@.service"))
    }

    /// The unit that runs the switches of an app: `bgctl-switch@APP.service`. One at a time: its name is the lock.
    pub fn switch(app: &AppName) -> Self {
        Self(format!("bgctl-switch@{app}.service"))
    }

    /// A service of the host that is named in bgctl's settings, as in `nginx.service`; fails with
    /// [`Invalid`](super::Invalid) where the name has other characters than systemd allows or no `.service`.
    pub fn service(name: &str) -> Result<Self, super::Invalid> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
        if name.len() > 255 || !name.ends_with(".service") || name.starts_with('.') || !name.chars().all(plain) {
            return Err(super::Invalid::value(
                "the name of a service unit",
                name,
                "it must be letters, digits and :-_.\\@ and end with .service",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let app = AppName::parse("shop").unwrap();
        assert_eq!(
            UnitName::instance(&app, Port::new(9001).unwrap()).as_str(),
            "shop@9001.service"
        );
        assert_eq!(UnitName::template(&app).as_str(), "shop@.service");
        assert_eq!(UnitName::switch(&app).as_str(), "bgctl-switch@shop.service");
        assert!(UnitName::service("nginx.service").is_ok());
        for bad in ["nginx", "a/b.service", ".service", "a b.service"] {
            assert!(UnitName::service(bad).is_err(), "{bad}");
        }
    }
}
