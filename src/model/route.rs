//! Where the proxy sends an app's requests.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Color, Invalid};

/// What the proxy of this host does with an app's requests.
///
/// In files it is the color, or `null` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Option<Color>", into = "Option<Color>")]
pub enum Route {
    /// It answers 503: no release of the app is active.
    #[default]
    None,
    /// It sends all of them to one color.
    To(Color),
}

impl Route {
    /// Every route that there is.
    pub const ALL: [Self; 3] = [Self::None, Self::To(Color::Blue), Self::To(Color::Green)];

    /// The color that serves; none where requests are answered with 503.
    pub fn color(self) -> Option<Color> {
        match self {
            Self::None => None,
            Self::To(color) => Some(color),
        }
    }

    /// Whether any request goes to `color`.
    pub fn serves(self, color: Color) -> bool {
        self.color() == Some(color)
    }

    /// `blue`, `green` or `none`.
    pub fn as_str(self) -> &'static str {
        Color::or_none(self.color())
    }

    /// Reads what [`Route::as_str`] writes. Errors with [`Invalid`] on anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Color::parse_or_none(text).map(Self::from)
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

impl From<Route> for Option<Color> {
    fn from(route: Route) -> Self {
        route.color()
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
        for (route, json) in Route::ALL.into_iter().zip(["null", "\"blue\"", "\"green\""]) {
            assert_eq!(serde_json::to_string(&route).unwrap(), json);
            assert_eq!(serde_json::from_str::<Route>(json).unwrap(), route);
            assert_eq!(Route::parse(route.as_str()), Ok(route));
        }
        assert!(Route::parse("red").is_err());
    }
}
