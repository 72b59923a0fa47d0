//! From tables to types. An error names the key and what was expected there, never what stands there: that may be a
//! secret, and serde's own errors would quote it. The one exception: `networks` quotes what is no address.
//!
//! The environment knows only text, so a text is read as a number where the type wants one.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

use super::error::ConfigError;

/// Reads a type from the sections of a configuration.
///
/// # Errors
/// The first value that has the wrong type, or that the type refuses.
pub fn typed<T: DeserializeOwned>(sections: Table) -> Result<T, ConfigError> {
    let read = serde_path_to_error::deserialize(Given(Value::Table(sections)));
    read.map_err(|error| ConfigError(format!("{}: {}", error.path(), error.inner())))
}

/// What was given for a key.
struct Given(Value);

impl Given {
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.as_str().and_then(|text| text.parse().ok()) {
            Some(number) => visitor.visit_i64(number),
            None => self.deserialize_any(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Given {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(is) => visitor.visit_bool(is),
            Value::Datetime(_) => Err(de::Error::invalid_type(Unexpected::Other("datetime"), &visitor)),
            Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(Given))),
            Value::Table(members) => {
                let members = members.into_iter().map(|(name, value)| (Given(Value::String(name)), Given(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            other => Given(other).deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

impl IntoDeserializer<'_, Problem> for Given {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// What is wrong with a value, without the value (except what `networks` quotes).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Problem(String);

impl de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("expected one of {}", expected.join(", ")))
    }
}
