//! Names: of an app, a release, a switch, an environment variable.

use super::Invalid;

/// Declares a name: a string that was checked by `check` on its way in, also when read from a file.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the name; fails with [`Invalid`] where it is not one.
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
pub(super) use name;

name!(
    /// The name of an app: 1 to 40 of `a`-`z`, `0`-`9` and `-`, from a letter to a letter or digit.
    ///
    /// It becomes part of unit names, nginx variables (with `_` for `-`, which is why it holds none), paths and store
    /// keys, so it needs no escaping in any of them. Names from `bgctl` on belong to bgctl's own units.
    AppName,
    check_app
);

name!(
    /// The id of a release: 1 to 64 of ASCII letters, digits, `.`, `_` and `-`, from a letter or digit.
    ReleaseId,
    check_release
);

name!(
    /// The id of a switch on its host: its number, four digits or more, as in `0007`.
    SwitchId,
    check_switch
);

name!(
    /// The name of an environment variable (environ(7)): ASCII letters, digits and `_`, not from a digit.
    ///
    /// `PORT` and names from `BGCTL_` on are set by bgctl and refused where a person sets them.
    EnvName,
    check_env
);

name!(
    /// The name of a port that an app has beside its own: 1 to 20 of a-z, 0-9 and `_`, from a letter. It is part of a variable's
    /// name, `BGCTL_PORT_NAME`.
    PortName,
    check_port_name
);

impl PortName {
    /// The variable that tells an app this port.
    pub fn as_variable(&self) -> String {
        format!("BGCTL_PORT_{}", self.0.to_ascii_uppercase())
    }
}

impl AppName {
    /// The name as part of an nginx variable: `-` is not allowed there.
    pub fn as_variable(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl ReleaseId {
    /// The id that bgctl gives the release number `n` where nobody named it.
    pub fn numbered(n: u32) -> Self {
        Self(format!("r{n}"))
    }

    /// The number of an id made by [`ReleaseId::numbered`].
    pub fn number(&self) -> Option<u32> {
        self.0.strip_prefix('r')?.parse().ok()
    }
}

impl SwitchId {
    /// The id of the switch number `n`.
    pub fn numbered(n: u32) -> Self {
        Self(format!("{n:04}"))
    }

    /// The number.
    pub fn number(&self) -> u32 {
        self.0.parse().unwrap_or_default()
    }
}

const APP_NAME_MAX: usize = 40;

fn check_app(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("the name of an app", text, reason));
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > APP_NAME_MAX {
        return refuse(&format!(
            "it has {} characters, and {APP_NAME_MAX} is the most",
            text.len()
        ));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(odd) = text.chars().find(|c| !plain(*c)) {
        return refuse(&format!("{odd:?} is not one of a-z, 0-9 and -"));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
        return refuse("it must start with a letter and end with a letter or digit");
    }
    if text.starts_with("bgctl") {
        return refuse("names that start with bgctl belong to bgctl's own units");
    }
    Ok(())
}

fn check_port_name(text: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain);
    if is_name && text.len() <= 20 {
        return Ok(());
    }
    Err(Invalid::value(
        "the name of a port",
        text,
        "it must be 20 of a-z, 0-9 and _ at most, from a letter",
    ))
}

const RELEASE_ID_MAX: usize = 64;

fn check_release(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("the name of a release", text, reason));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.len() > RELEASE_ID_MAX {
        return refuse(&format!(
            "it has {} characters, and {RELEASE_ID_MAX} is the most",
            text.len()
        ));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it must start with a letter or digit");
    }
    match text.chars().find(|c| !plain(*c)) {
        Some(odd) => refuse(&format!("{odd:?} is not one of the letters, digits, '.', '_' and '-'")),
        None => Ok(()),
    }
}

fn check_switch(text: &str) -> Result<(), Invalid> {
    if (4..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Invalid::value(
        "the id of a switch",
        text,
        "it is not a number of four digits or more",
    ))
}

fn check_env(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("the name of an environment variable", text, reason));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !text.chars().all(plain) {
        return refuse("it must be letters, digits and _, and not start with a digit");
    }
    if text == "PORT" || text.starts_with("BGCTL_") {
        return refuse("bgctl sets PORT and the names that start with BGCTL_ itself");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names() {
        for good in ["a", "bdd-assistant", "shop2", &"a".repeat(40)] {
            assert_eq!(AppName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a/b",
            "a%b",
            "a\nb",
            "-a",
            "a-",
            "9a",
            "A",
            "a_b",
            "bgctl-switch",
            &"a".repeat(41),
        ] {
            let error = AppName::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("cannot use "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn release_ids() {
        assert_eq!(ReleaseId::numbered(7).number(), Some(7));
        assert_eq!(ReleaseId::parse("v1.2.3").unwrap().number(), None);
        for bad in ["", "../x", ".x", "a b", &"r".repeat(65)] {
            assert!(ReleaseId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn switch_ids_are_numbers() {
        assert_eq!(SwitchId::numbered(7).as_str(), "0007");
        assert_eq!(SwitchId::numbered(12345).number(), 12345);
        assert!(SwitchId::parse("7").is_err());
    }

    #[test]
    fn environment_names_of_bgctl_are_refused() {
        assert!(EnvName::parse("DATABASE_URL").is_ok());
        for bad in ["", "1A", "A-B", "PORT", "BGCTL_COLOR", "A=B"] {
            assert!(EnvName::parse(bad).is_err(), "{bad}");
        }
    }
}
