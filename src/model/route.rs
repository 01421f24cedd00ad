//! Where the proxy sends an app's requests.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Color, Invalid};

/// What the proxy of this host does with an app's requests.
///
/// In files it is the color, `null` where there is none, or `"held"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Route {
    /// It answers 503: no release of the app is active.
    #[default]
    None,
    /// It sends all of them to one color.
    To(Color),
    /// It holds them until they go to a color again: one is stopped before the other one is started.
    Held,
}

/// A route in files.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Color(Option<Color>),
    Held(Held),
}

#[derive(Serialize, Deserialize)]
enum Held {
    #[serde(rename = "held")]
    Held,
}

const HELD: &str = "held";

impl Route {
    /// Every route that there is.
    pub const ALL: [Self; 4] = [Self::None, Self::To(Color::Blue), Self::To(Color::Green), Self::Held];

    /// The color that serves; none where requests are answered with 503, or held.
    pub fn color(self) -> Option<Color> {
        match self {
            Self::None | Self::Held => None,
            Self::To(color) => Some(color),
        }
    }

    /// Whether any request goes to `color`.
    pub fn serves(self, color: Color) -> bool {
        self.color() == Some(color)
    }

    /// `blue`, `green`, `none` or `held`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => HELD,
            Self::None | Self::To(_) => Color::or_none(self.color()),
        }
    }

    /// Reads what [`Route::as_str`] writes. Errors with [`Invalid`] on anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            HELD => Ok(Self::Held),
            other => Color::parse_or_none(other).map(Self::from),
        }
    }
}

impl From<Option<Color>> for Route {
    fn from(color: Option<Color>) -> Self {
        color.map_or(Self::None, Self::To)
    }
}

impl From<Color> for Route {
    fn from(color: Color) -> Self {
        Self::To(color)
    }
}

impl From<Written> for Route {
    fn from(written: Written) -> Self {
        match written {
            Written::Color(color) => color.into(),
            Written::Held(Held::Held) => Self::Held,
        }
    }
}

impl From<Route> for Written {
    fn from(route: Route) -> Self {
        match route {
            Route::Held => Self::Held(Held::Held),
            Route::None | Route::To(_) => Self::Color(route.color()),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_written_as_colors() {
        for (route, json) in Route::ALL
            .into_iter()
            .zip(["null", "\"blue\"", "\"green\"", "\"held\""])
        {
            assert_eq!(serde_json::to_string(&route).unwrap(), json);
            assert_eq!(serde_json::from_str::<Route>(json).unwrap(), route);
            assert_eq!(Route::parse(route.as_str()), Ok(route));
        }
        assert!(Route::parse("red").is_err());
        assert!(serde_json::from_str::<Route>("\"red\"").is_err());
    }
}
