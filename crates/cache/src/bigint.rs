//! Python integers that do not fit 64 bits, kept as decimal text.

use std::fmt;

/// Python's own limit on integers read from text (`sys.int_info.default_max_str_digits`).
pub(crate) const MAX_DIGITS: usize = 4300;

/// The most bytes an integer of that many digits takes in a pickle.
pub(crate) const MAX_BYTES: usize = 1786;

const CHUNK_DIGITS: usize = 9;
const CHUNK: u64 = 1_000_000_000;

/// An integer outside `i64`, in canonical decimal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BigInt(String);

/// An integer of Python's, as small as it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    Small(i64),
    Big(BigInt),
}

impl Integer {
    /// Reads an optional sign and ASCII digits; `None` for anything else or over 4300 digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        if digits.is_empty() || digits.len() > MAX_DIGITS || !plain {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        let canonical = match (digits, negative) {
            ("", _) => return Some(Self::Small(0)),
            (digits, true) => format!("-{digits}"),
            (digits, false) => digits.to_owned(),
        };
        Some(canonical.parse().map_or_else(|_| Self::Big(BigInt(canonical)), Self::Small))
    }

    /// Reads little-endian two's complement of any length up to `MAX_BYTES`.
    pub(crate) fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
        let negative = bytes.last().is_some_and(|top| top & 0x80 != 0);
        let mut magnitude = bytes.to_vec();
        if negative {
            negate(&mut magnitude);
        }
        let digits = to_decimal(&magnitude);
        Self::parse(&if negative { format!("-{digits}") } else { digits })
    }
}

impl BigInt {
    /// Returns the decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the shortest little-endian two's complement, as Python's `LONG` opcodes carry it.
    pub(crate) fn to_le_bytes(&self) -> Vec<u8> {
        let (negative, digits) = match self.0.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, self.0.as_str()),
        };
        let mut bytes = from_decimal(digits);
        bytes.push(0);
        if negative {
            negate(&mut bytes);
        }
        let sign = if negative { 0xff } else { 0 };
        while let [.., below, top] = bytes.as_slice()
            && *top == sign
            && (below & 0x80) == (sign & 0x80)
        {
            bytes.pop();
        }
        bytes
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Two's complement negation in place.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (negated, overflow) = (!*byte).overflowing_add(u8::from(carry));
        *byte = negated;
        carry = overflow;
    }
}

fn to_decimal(magnitude: &[u8]) -> String {
    let mut limbs: Vec<u32> = magnitude
        .chunks(4)
        .map(|four| four.iter().rev().fold(0, |limb, byte| limb << 8 | u32::from(*byte)))
        .collect();
    let mut chunks = Vec::new();
    while !limbs.is_empty() {
        let mut rest = 0_u64;
        for limb in limbs.iter_mut().rev() {
            let wide = rest << 32 | u64::from(*limb);
            *limb = (wide / CHUNK) as u32;
            rest = wide % CHUNK;
        }
        chunks.push(rest);
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
    }
    let padded: String = chunks.iter().rev().map(|chunk| format!("{chunk:09}")).collect();
    match padded.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

fn from_decimal(digits: &str) -> Vec<u8> {
    let mut limbs: Vec<u32> = Vec::new();
    let first = digits.len() % CHUNK_DIGITS;
    let (head, tail) = digits.split_at(first);
    let chunks = tail.as_bytes().chunks(CHUNK_DIGITS);
    for chunk in std::iter::once(head.as_bytes()).filter(|head| !head.is_empty()).chain(chunks) {
        let mut carry = chunk.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
        for limb in &mut limbs {
            let wide = u64::from(*limb) * CHUNK + carry;
            *limb = wide as u32;
            carry = wide >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(text: &str) -> BigInt {
        match Integer::parse(text) {
            Some(Integer::Big(big)) => big,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_integer_is_as_small_as_it_fits() {
        for (text, small) in
            [("0", 0), ("-0", 0), ("+7", 7), ("007", 7), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(Integer::parse(text), Some(Integer::Small(small)));
        }
        for text in ["", "-", "+-1", "1 ", "1_0", "0x1", "٣"] {
            assert_eq!(Integer::parse(text), None, "{text}");
        }
        assert_eq!(big("+09223372036854775808").as_str(), "9223372036854775808");
        assert!(Integer::parse(&"9".repeat(MAX_DIGITS)).is_some());
        assert!(Integer::parse(&"9".repeat(MAX_DIGITS + 1)).is_none());
    }

    #[test]
    fn bytes_are_those_of_pythons_int_to_bytes() {
        // (2**63).to_bytes(9, "little", signed=True), and so on.
        let check = |text: &str, bytes: &[u8]| {
            assert_eq!(big(text).to_le_bytes(), bytes, "{text}");
            assert_eq!(Integer::from_le_bytes(bytes), Some(Integer::Big(big(text))));
        };
        check("9223372036854775808", &[0, 0, 0, 0, 0, 0, 0, 0x80, 0]);
        check("-9223372036854775809", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff]);
        check("18446744073709551616", &[0, 0, 0, 0, 0, 0, 0, 0, 1]);
        check("-18446744073709551616", &[0, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        check("1180591620717411303424", &[0, 0, 0, 0, 0, 0, 0, 0, 0x40]);
    }

    #[test]
    fn the_longest_integer_survives_its_bytes() {
        let longest = big(&format!("-{}", "9".repeat(MAX_DIGITS)));
        let bytes = longest.to_le_bytes();
        assert!(bytes.len() <= MAX_BYTES, "{}", bytes.len());
        assert_eq!(Integer::from_le_bytes(&bytes), Some(Integer::Big(longest)));
        assert_eq!(Integer::from_le_bytes(&[]), Some(Integer::Small(0)));
        assert_eq!(Integer::from_le_bytes(&[0xff; 12]), Some(Integer::Small(-1)));
    }
}
