//! Names of systemd units.

use std::fmt;

use super::{AppName, Color, CompanionName, Port, Replica};

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

    /// A companion's replica in a color: `APP_NAME@COLOR-NUMBER.service`.
    pub fn companion(app: &AppName, color: Color, replica: &Replica) -> Self {
        Self(format!("{app}_{}.service", replica.named(color)))
    }

    /// The replica of `app` in `color` whose unit it is; `None` where it is none.
    pub fn as_companion(&self, app: &AppName, color: Color) -> Option<Replica> {
        let named = self.0.strip_prefix(app.as_str())?.strip_prefix('_')?;
        Replica::parse_named(named.strip_suffix(".service")?, color)
    }

    /// The template that the replicas of a companion come from: `APP_NAME@.service`.
    pub fn companion_template(app: &AppName, companion: &CompanionName) -> Self {
        Self(format!("{app}_{companion}@.service"))
    }

    /// The unit that runs the switches of an app: `bgctl-switch@APP.service`. One at a time: its name is the lock.
    pub fn switch(app: &AppName) -> Self {
        Self(format!("bgctl-switch@{app}.service"))
    }

    /// The unit that a command which verifies a release of an app runs in: `bgctl-verify-APP.service`.
    pub fn verify(app: &AppName) -> Self {
        Self(format!("bgctl-verify-{app}.service"))
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
        assert_eq!(UnitName::verify(&app).as_str(), "bgctl-verify-shop.service");
        let replica = Replica::parse("worker", "2").unwrap();
        let companion = UnitName::companion(&app, Color::Green, &replica);
        assert_eq!(companion.as_str(), "shop_worker@green-2.service");
        assert_eq!(companion.as_companion(&app, Color::Green), Some(replica));
        assert_eq!(companion.as_companion(&app, Color::Blue), None);
        assert!(UnitName::service("nginx.service").is_ok());
        for bad in ["nginx", "a/b.service", ".service", "a b.service"] {
            assert!(UnitName::service(bad).is_err(), "{bad}");
        }
    }
}
