//! Single values of a configuration file: each type has checked what it holds.

mod answer;
mod docker;
mod host;
mod quantity;
mod text;

pub(super) use answer::{Scalar, Statuses};
pub(super) use docker::{DockerOption, Volume};
pub(super) use host::{Endpoint, KeyPrefix, ServiceName};
pub use quantity::parse_time;
pub(super) use quantity::{PortNumber, Size, Status, Time};
pub(super) use text::{
    AbsolutePath, HeaderName, HeaderValue, HealthPath, HostHeader, Line, RequestPath, ServiceLine, Text, UserName,
    is_of_text,
};

/// Declares a type that is read from a `$from` by `$parse`.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident($inner:ty), $from:ty, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(in crate::config) struct $name(pub(in crate::config) $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(<$from as serde::Deserialize>::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
            }
        }
    };
}
use value;
