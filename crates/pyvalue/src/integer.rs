//! Python's ints: `num-bigint`'s where they do not fit 64 bits.

use num_bigint::BigInt;

use crate::{
    error::{Bound, FormatError},
    value::PyValue,
};

/// Python's own limit on ints read from text (`sys.int_info.default_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// The most bytes an int of that many digits takes in a pickle.
const MAX_BYTES: usize = 1786;

impl PyValue {
    /// Returns the int of an optional sign and ASCII digits; `None` for anything else, or more than
    /// 4,300 digits.
    pub fn parse_int(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty();
        if !is_plain || digits.len() > MAX_DIGITS {
            return None;
        }
        match text.parse() {
            Ok(small) => Some(Self::Int(small)),
            Err(_) => text.parse::<BigInt>().ok().map(Self::from),
        }
    }

    /// Returns the int of a pickle: two's complement, the lowest byte first.
    pub(crate) fn int_of_le_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let int = match bytes.len() {
            ..=MAX_BYTES => Self::from(BigInt::from_signed_bytes_le(bytes)),
            _ => return Err(too_long()),
        };
        match &int {
            // Of the longest, some have a digit too many.
            Self::BigInt(big) if bytes.len() == MAX_BYTES && n_digits(big) > MAX_DIGITS => {
                Err(too_long())
            }
            _ => Ok(int),
        }
    }
}

/// The error about an int that is too long for Python.
pub(crate) fn too_long() -> FormatError {
    FormatError::TooLarge { limit: MAX_DIGITS, of: Bound::Digits }
}

fn n_digits(int: &BigInt) -> usize {
    int.magnitude().to_string().len()
}

/// As small as it fits.
impl From<BigInt> for PyValue {
    fn from(int: BigInt) -> Self {
        match i64::try_from(&int) {
            Ok(small) => Self::Int(small),
            Err(_) => Self::BigInt(int),
        }
    }
}

impl From<u64> for PyValue {
    fn from(int: u64) -> Self {
        i64::try_from(int).map_or_else(|_| Self::BigInt(int.into()), Self::Int)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(text: &str) -> BigInt {
        match PyValue::parse_int(text) {
            Some(PyValue::BigInt(big)) => big,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_integer_is_as_small_as_it_fits() {
        for (text, small) in
            [("0", 0), ("-0", 0), ("+7", 7), ("007", 7), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(PyValue::parse_int(text), Some(PyValue::Int(small)));
        }
        for text in ["", "-", "+-1", "1 ", "1_0", "0x1", "٣"] {
            assert_eq!(PyValue::parse_int(text), None, "{text}");
        }
        assert_eq!(big("+09223372036854775808").to_string(), "9223372036854775808");
        assert_eq!(PyValue::parse_int(&"0".repeat(MAX_DIGITS)), Some(PyValue::Int(0)));
        assert!(PyValue::parse_int(&"9".repeat(MAX_DIGITS)).is_some());
        assert!(PyValue::parse_int(&"9".repeat(MAX_DIGITS + 1)).is_none());
    }

    #[test]
    fn bytes_are_those_of_pythons_int_to_bytes() {
        // (2**63).to_bytes(9, "little", signed=True), and so on.
        let check = |text: &str, bytes: &[u8]| {
            assert_eq!(big(text).to_signed_bytes_le(), bytes, "{text}");
            assert_eq!(PyValue::int_of_le_bytes(bytes).unwrap(), PyValue::BigInt(big(text)));
        };
        check("9223372036854775808", &[0, 0, 0, 0, 0, 0, 0, 0x80, 0]);
        check("-9223372036854775809", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff]);
        check("18446744073709551616", &[0, 0, 0, 0, 0, 0, 0, 0, 1]);
        check("-18446744073709551616", &[0, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        check("1180591620717411303424", &[0, 0, 0, 0, 0, 0, 0, 0, 0x40]);
    }

    #[test]
    fn the_longest_integer_survives_its_bytes_and_no_longer_one_is_read() {
        let longest = big(&format!("-{}", "9".repeat(MAX_DIGITS)));
        let bytes = longest.to_signed_bytes_le();
        assert!(bytes.len() <= MAX_BYTES, "{}", bytes.len());
        assert_eq!(PyValue::int_of_le_bytes(&bytes).unwrap(), PyValue::BigInt(longest.clone()));
        let longer = (longest - 1_u8).to_signed_bytes_le();
        assert!(PyValue::int_of_le_bytes(&longer).is_err());
        assert!(PyValue::int_of_le_bytes(&[1; MAX_BYTES + 1]).is_err());
        assert_eq!(PyValue::int_of_le_bytes(&[]).unwrap(), PyValue::Int(0));
        assert_eq!(PyValue::int_of_le_bytes(&[0xff; 12]).unwrap(), PyValue::Int(-1));
    }
}
