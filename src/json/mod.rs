//! JSON as it was written: where each value of a document lies, without recursion and without copies. It knows no word of
//! Messenger.
//!
//! `serde_json` decides what is JSON; then one pass over the now trusted text notes start, end and depth of every value
//! in one flat list: sixteen bytes a value, so the worst document (`[0,0,…]`) costs eight times its size. That keeps the
//! exact bytes, numbers of any length, repeated keys, lone surrogates, and 100,000 brackets.
//!
//! Tried instead, in November 2026, with bodies of all these sorts: lone surrogates are refused by `serde_json::Value`,
//! simd-json, jiter, struson, nojson, json-event-parser, bufjson and jsonc-parser; deep nesting overflows the stack of, or is
//! refused by, sonic-rs, simd-json, nojson, json-syntax, jsontape and jsonc-parser; places of values are not told by jiter,
//! simd-json and jsontape. `serde_json`'s `RawValue`, level by level, keeps everything, but reads each level anew: a minute for
//! 100,000 brackets. hifijson's lexer keeps everything too, but is no index and tells no place of an error. For decimals,
//! bigdecimal refuses `0e99999999999999999999`, which is JSON, and takes 100 ms for `1e1000000`; `rust_decimal` and fastnum
//! end at some digits.

mod decimal;
mod document;
mod escape;
mod naming;
mod time;

pub use decimal::{Decimal, is_short};
pub use document::{Document, Json, NotJson, Type};
pub use escape::{Segment, segments};
pub use naming::{names, without_name};
pub use time::{FIRST_MILLISECOND, micros, number, representable};
