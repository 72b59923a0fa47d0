//! JSON numbers as the exact decimals they are written as. Ids exceed 2^53 and times come as
//! `1492414608999.0`, so nothing here passes through a float.

use std::borrow::Cow;

/// Exponents beyond this are as good as infinite; cutting them keeps sums inside an `i64`.
const MAX_EXPONENT: i64 = 1 << 40;

/// `±digits × 10^exponent`, digits without leading or trailing zeros; none for zero.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number; `None` when the text is none.
    pub fn parse(literal: &str) -> Option<Self> {
        let (mantissa, exponent) = match literal.find(['e', 'E']) {
            Some(at) => (&literal[..at], clamped_exponent(&literal[at + 1..])?),
            None => (literal, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let written = [whole, fraction].concat();
        let digits = written.trim_end_matches('0');
        let trailing = i64::try_from(written.len() - digits.len()).ok()?;
        let exponent = exponent - i64::try_from(fraction.len()).ok()? + trailing;
        let digits = digits.trim_start_matches('0').to_owned();
        let is_zero = digits.is_empty();
        Some(Self { negative: negative && !is_zero, digits, exponent: if is_zero { 0 } else { exponent } })
    }

    /// The number times 10^`shift`, cut to a whole number; `None` beyond an `i128`.
    pub fn scaled(&self, shift: i64) -> Option<i128> {
        let exponent = self.exponent + shift;
        let kept = i64::try_from(self.digits.len()).ok()? + exponent.min(0);
        if kept <= 0 {
            return Some(0);
        }
        let digits: i128 = self.digits.get(..usize::try_from(kept).ok()?.min(self.digits.len()))?.parse().ok()?;
        let power = 10_i128.checked_pow(u32::try_from(exponent.max(0)).ok()?)?;
        let magnitude = digits.checked_mul(power)?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// One spelling for one number: `1.0`, `1` and `10e-1` are all `1e0`.
    pub fn canonical(&self) -> String {
        format!("{}{}e{}", if self.negative { "-" } else { "" }, self.digits, self.exponent)
    }
}

/// A whole number in plain digits, `None` when it has a fraction. Of one with more than `max_bytes` only as many as are
/// just more: the same ones however it is spelled.
pub fn integer_text(literal: &str, max_bytes: usize) -> Option<Cow<'_, str>> {
    let max_bytes = max_bytes.saturating_add(1);
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits == "0" {
        return Some(Cow::Borrowed(digits));
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Borrowed(&literal[..literal.len().min(max_bytes)]));
    }
    let number = Decimal::parse(literal)?;
    let zeros = u64::try_from(number.exponent).ok()?;
    let sign = if number.negative { "-" } else { "" };
    let zeros = "0".repeat(usize::try_from(zeros).unwrap_or(usize::MAX).min(max_bytes));
    let digits = if number.digits.is_empty() { "0" } else { &number.digits };
    let mut text = [sign, digits, &zeros].concat();
    text.truncate(max_bytes);
    Some(Cow::Owned(text))
}

/// Whether a number needs at most so many digits on either side of the point, told by how it is written.
pub fn is_short(literal: &str, max_digits: usize) -> bool {
    let exponent = literal.find(['e', 'E']).map_or(Some(0), |at| clamped_exponent(&literal[at + 1..]));
    let max_exponent = max_digits.saturating_sub(literal.len()) as u64;
    literal.len() <= max_digits && exponent.is_some_and(|exponent| exponent.unsigned_abs() <= max_exponent)
}

fn clamped_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only a number too large for an i64 fails to parse here.
    let magnitude = digits.parse::<i64>().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Some(sign * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        let scaled = |literal: &str| Decimal::parse(literal).and_then(|number| number.scaled(0));
        assert_eq!(scaled("1492414608999.0"), Some(1_492_414_608_999));
        assert_eq!(scaled("1.7600000000005e12"), Some(1_760_000_000_000));
        assert_eq!(scaled("1e400"), None);
        assert_eq!(scaled("1e-400"), Some(0));
        assert_eq!(scaled("-12.9"), Some(-12));
        assert_eq!(scaled("0e99999999999999999999"), Some(0));
        assert_eq!(Decimal::parse("1760000000.125").and_then(|n| n.scaled(6)), Some(1_760_000_000_125_000));
        assert_eq!(Decimal::parse("soon"), None);
        assert_eq!(Decimal::parse("1e"), None);
    }

    #[test]
    fn ids_keep_every_digit() {
        assert_eq!(
            integer_text("340282366920938463463374607431768211456", 512).as_deref(),
            Some("340282366920938463463374607431768211456")
        );
        assert_eq!(integer_text("6.1e15", 512).as_deref(), Some("6100000000000000"));
        assert_eq!(integer_text("7.0", 512).as_deref(), Some("7"));
        assert_eq!(integer_text("1.5", 512), None);
        assert_eq!(integer_text("1e-999999999", 512), None);
    }

    #[test]
    fn a_number_that_is_too_long_begins_alike_however_it_is_spelled() {
        let long = format!("12{}", "0".repeat(600));
        for spelling in [&long, &format!("{long}.00"), "1.2e601", "120E+600", &format!("{long}000e-3")] {
            assert_eq!(integer_text(spelling, 512).as_deref(), Some(&long[..513]), "{spelling}");
        }
        assert_eq!(integer_text("1e999999999999999", 2).as_deref(), Some("100"));
    }

    #[test]
    fn one_number_has_one_canonical_spelling() {
        let canonical = |literal: &str| Decimal::parse(literal).map(|number| number.canonical());
        assert_eq!(canonical("1.0"), canonical("10e-1"));
        assert_eq!(canonical("-0.0"), canonical("0"));
        assert_ne!(canonical("1"), canonical("-1"));
    }
}
