//! `[verify]` and `[[verify]]` as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::value::{
    HeaderName, HeaderValue, HostHeader, Line, RequestPath, Scalar, Size, Statuses, Time, UserName,
};
use crate::model::JsonPointer;

/// A table of commands, or a list of checks.
#[derive(Debug)]
pub(in crate::config::manifest) enum Verify {
    Commands(VerifyCommands),
    Checks(Vec<Spanned<VerifyCheck>>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config::manifest) struct VerifyCommands {
    #[serde(default)]
    pub(in crate::config::manifest) commands: Vec<Spanned<String>>,
    pub(in crate::config::manifest) timeout: Option<Spanned<Time>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config::manifest) struct VerifyCheck {
    pub(in crate::config::manifest) name: Option<Spanned<Line>>,
    pub(in crate::config::manifest) command: Option<Spanned<String>>,
    pub(in crate::config::manifest) user: Option<Spanned<UserName>>,
    pub(in crate::config::manifest) memory: Option<Spanned<Size>>,
    pub(in crate::config::manifest) path: Option<Spanned<RequestPath>>,
    pub(in crate::config::manifest) method: Option<Spanned<String>>,
    pub(in crate::config::manifest) host: Option<Spanned<HostHeader>>,
    pub(in crate::config::manifest) headers: Option<Spanned<BTreeMap<HeaderName, HeaderValue>>>,
    pub(in crate::config::manifest) status: Option<Spanned<Statuses>>,
    pub(in crate::config::manifest) header: Option<Spanned<BTreeMap<HeaderName, Line>>>,
    pub(in crate::config::manifest) body_contains: Option<Spanned<String>>,
    pub(in crate::config::manifest) json: Option<Spanned<BTreeMap<JsonPointer, Scalar>>>,
    pub(in crate::config::manifest) timeout: Option<Spanned<Time>>,
    pub(in crate::config::manifest) retries: Option<Spanned<i64>>,
}

impl Default for Verify {
    fn default() -> Self {
        Self::Commands(VerifyCommands::default())
    }
}

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Verify;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table [verify], or tables [[verify]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Verify, A::Error> {
                VerifyCommands::deserialize(MapAccessDeserializer::new(map)).map(Verify::Commands)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Verify, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Verify::Checks)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
