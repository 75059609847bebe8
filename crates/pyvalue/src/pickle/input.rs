//! A cursor over a pickle's bytes; lengths are checked against what is there before anything is
//! made.

use crate::{error::FormatError, value::PyValue};

/// What Python's `str` can hold and Unicode text cannot.
const SURROGATE: &str = "str with a lone surrogate";

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn error(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { format: "pickle", at: self.at, what }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let taken = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.error("it ends early"))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, FormatError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn f64_be(&mut self) -> Result<f64, FormatError> {
        self.array().map(f64::from_be_bytes)
    }

    /// Takes bytes behind a length of one, four or eight bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8], FormatError> {
        let len = match width {
            1 => u64::from(self.u8()?),
            4 => u64::from(self.u32()?),
            _ => self.u64()?,
        };
        let len = usize::try_from(len).map_err(|_| self.error("it ends early"))?;
        self.take(len)
    }

    pub(super) fn text(&mut self, width: usize) -> Result<&'a str, FormatError> {
        let bytes = self.counted(width)?;
        std::str::from_utf8(bytes).map_err(|_| {
            // Python pickles text with the error handler `surrogatepass`: D800 to DFFF as three
            // bytes, ED A0 80 to ED BF BF.
            let is_surrogate = |pair: &[u8; 2]| pair[0] == 0xed && pair[1] >= 0xa0;
            match bytes.array_windows().any(is_surrogate) {
                true => FormatError::unsupported(SURROGATE),
                false => self.error("text is not UTF-8"),
            }
        })
    }

    /// Takes the rest of a line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8], FormatError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(len.ok_or_else(|| self.error("it ends early"))?)?;
        self.at += 1;
        Ok(line)
    }

    pub(super) fn ascii_line(&mut self) -> Result<&'a str, FormatError> {
        let line = self.line()?;
        std::str::from_utf8(line).map_err(|_| self.error("text is not UTF-8"))
    }

    pub(super) fn decimal_line(&mut self) -> Result<PyValue, FormatError> {
        let line = self.ascii_line()?;
        let digits = line.strip_suffix('L').unwrap_or(line);
        PyValue::parse_int(digits).ok_or_else(|| self.error("not an integer"))
    }

    pub(super) fn index_line(&mut self) -> Result<u32, FormatError> {
        let line = self.ascii_line()?;
        line.parse().map_err(|_| self.error("not a memo index"))
    }

    pub(super) fn long(&mut self, width: usize) -> Result<PyValue, FormatError> {
        PyValue::int_of_le_bytes(self.counted(width)?)
    }

    /// Takes a line of Python's `raw-unicode-escape`: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
    pub(super) fn escaped_line(&mut self) -> Result<String, FormatError> {
        let mut rest = self.line()?.iter();
        let mut text = String::new();
        while let Some(byte) = rest.next() {
            if *byte != b'\\' {
                text.push(char::from(*byte));
                continue;
            }
            let width = match rest.next() {
                Some(b'u') => 4,
                Some(b'U') => 8,
                Some(other) => {
                    text.extend(['\\', char::from(*other)]);
                    continue;
                }
                None => {
                    text.push('\\');
                    break;
                }
            };
            let code = rest.as_slice().get(..width).and_then(hex);
            if code.is_some_and(|code| (0xd800..0xe000).contains(&code)) {
                return Err(FormatError::unsupported(SURROGATE));
            }
            let digits = code.and_then(char::from_u32);
            text.push(digits.ok_or_else(|| self.error("a broken escape in text"))?);
            rest = rest.as_slice()[width..].iter();
        }
        Ok(text)
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, digit| Some(n << 4 | char::from(*digit).to_digit(16)?))
}
