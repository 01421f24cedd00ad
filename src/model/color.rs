//! The two colors, what there is one of for each, and ports.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// One of the two places in which a release of an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// The first one: a switch with nothing active goes here.
    Blue,
    /// The second one.
    Green,
}

impl Color {
    /// Both, blue first.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// `blue` or `green`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }

    /// Reads what [`Color::as_str`] writes, and `none` as no color; fails with [`Invalid`] on anything else.
    pub fn parse_or_none(text: &str) -> Result<Option<Self>, Invalid> {
        match text {
            "none" => Ok(None),
            "blue" => Ok(Some(Self::Blue)),
            "green" => Ok(Some(Self::Green)),
            _ => Err(Invalid::value("a color", text, "it is not blue, green or none")),
        }
    }

    /// The color as text, `none` where there is none.
    pub fn or_none(color: Option<Self>) -> &'static str {
        color.map_or("none", Self::as_str)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One `T` for each color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByColor<T> {
    /// Blue's.
    pub blue: T,
    /// Green's.
    pub green: T,
}

impl<T> ByColor<T> {
    /// The one of `color`.
    pub fn get(&self, color: Color) -> &T {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }
}

/// A TCP port on the host, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// The port of this number; fails with [`Invalid`] for 0.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        NonZeroU16::new(number)
            .map(Self)
            .ok_or_else(|| Invalid::value("a port", number, "ports are 1 to 65535"))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// Whether only root may bind it (ip(7): below 1024).
    pub fn is_privileged(self) -> bool {
        self.get() < 1024
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for Port {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse()
            .map(Self)
            .map_err(|_| Invalid::value("a port", text, "it is not a number from 1 to 65535"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_each_others_other() {
        for color in Color::BOTH {
            assert_ne!(color.other(), color);
            assert_eq!(color.other().other(), color);
            assert_eq!(Color::parse_or_none(color.as_str()), Ok(Some(color)));
        }
        assert_eq!(Color::parse_or_none("none"), Ok(None));
        assert!(Color::parse_or_none("red").is_err());
    }

    #[test]
    fn ports() {
        assert!(Port::new(0).is_err());
        assert!("65536".parse::<Port>().is_err());
        assert!(Port::new(1023).unwrap().is_privileged());
        assert!(!Port::new(1024).unwrap().is_privileged());
    }
}
