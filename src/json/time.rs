//! Times in JSON, however they are written: numbers, numeric strings, float literals or ISO 8601, in seconds or in
//! milliseconds.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::decimal::Decimal;
use super::document::{Json, Type};

/// Numbers below this are seconds, from it on milliseconds: 10^11 s is the year 5138, 10^11 ms is 1973.
pub const FIRST_MILLISECOND: i128 = 100_000_000_000;

/// A longer text is no time; the longest honest one has 32 characters. (A number is one number however many digits it is
/// written with.)
const MAX_TEXT_BYTES: usize = 100;

/// A time in microseconds since 1970, however absurd. None when there is no time to read.
pub fn micros(json: Json<'_>) -> Option<i128> {
    let from_text = || from_iso(short_text(json)?.trim());
    number(json).map(|number| from_number(&number)).or_else(from_text)
}

/// A number, also one that is written as text.
pub fn number(json: Json<'_>) -> Option<Decimal> {
    match json.kind() {
        Type::Number => Decimal::parse(json.source()),
        _ => Decimal::parse(short_text(json)?.trim()),
    }
}

fn short_text(json: Json<'_>) -> Option<Cow<'_, str>> {
    json.string_up_to(MAX_TEXT_BYTES).filter(|text| text.len() <= MAX_TEXT_BYTES)
}

fn from_number(number: &Decimal) -> i128 {
    // Too large for 128 bits is a time all the same: an absurd one.
    let Some(micros) = number.scaled(3) else { return i128::MAX };
    let is_seconds = (micros / 1_000).abs() < FIRST_MILLISECOND;
    if is_seconds { number.scaled(6).unwrap_or(i128::MAX) } else { micros }
}

/// `2025-10-09T08:53:20+0000` and its kin; without an offset it is UTC.
fn from_iso(text: &str) -> Option<i128> {
    const FORMATS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S%.f"];
    let text = text.replace(',', ".").replacen(' ', "T", 1);
    let with_offset = |format: &&str| DateTime::parse_from_str(&text, &format!("{format}%#z")).ok();
    let without = |format: &&str| NaiveDateTime::parse_from_str(&text, format).ok();
    let time = FORMATS.iter().find_map(with_offset).map(|time| time.to_utc());
    let time = time.or_else(|| FORMATS.iter().find_map(without).map(|time| time.and_utc()));
    let time = time.or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc()));
    Some(i128::from(time?.timestamp_micros()))
}

/// Such a time as a value of its own; none before 1970 or after the year 262142, the last that `chrono` knows.
pub fn representable(micros: i128) -> Option<DateTime<Utc>> {
    let micros = i64::try_from(micros).ok().filter(|micros| *micros >= 0)?;
    DateTime::from_timestamp_micros(micros)
}
