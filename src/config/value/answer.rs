//! What an answer over HTTP has to be.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;

use super::quantity::{Status, parse_status};

/// One status, or several of which an answer has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Statuses(pub(in crate::config) BTreeSet<u16>);

/// A value of JSON that holds no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Scalar(pub(in crate::config) Value);

struct StatusesVisitor;

impl<'de> Visitor<'de> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status, or a list of them")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Statuses, E> {
        let status = parse_status(number).map_err(E::custom)?;
        Ok(Statuses([status].into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Statuses, A::Error> {
        let statuses = Vec::<Status>::deserialize(SeqAccessDeserializer::new(list))?;
        if statuses.is_empty() {
            return Err(A::Error::custom(
                "cannot use an empty list as status: no answer has one of none",
            ));
        }
        Ok(Statuses(statuses.into_iter().map(|status| status.0).collect()))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(Scalar(number.into())),
            None => Err(E::custom("cannot use this number: JSON has neither inf nor nan")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}
