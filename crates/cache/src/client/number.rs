//! Counting.

use std::sync::LazyLock;

use redis::cmd;
use rhubarb_connection::Script;

use super::{Cache, failed};
use crate::{
    BigInt, PyValue,
    error::{Error, redact_key},
};

/// Adds to what is there.
static INCR: LazyLock<Script> =
    LazyLock::new(|| Script::new("incr", include_str!("../scripts/incr.lua")));
/// Replaces a value that nobody has changed.
static SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new("swap", include_str!("../scripts/swap.lua")));

/// How often a number that others change at the same time is tried.
const TRIES: usize = 64;

impl Cache {
    /// Adds to a number and returns the sum; its timeout stays.
    ///
    /// An int of 64 bits is added to inside Redis. Larger ones, floats and bools (as in Python,
    /// `True + 1` is 2) are replaced in one step unless somebody else changes them in between, then
    /// tried again.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], where Django raises `ValueError`; [`Error::NotANumber`];
    /// [`Error::Redis`].
    pub async fn incr(&self, key: &str, delta: i64) -> Result<PyValue, Error> {
        let raw = self.raw_key(key);
        let keys = [raw.clone()];
        let args = [delta.to_string().into_bytes()];
        match self.redis().eval::<Option<i64>>(&INCR, &keys, &args, &[]).await {
            Ok(Some(sum)) => Ok(PyValue::Int(sum)),
            Ok(None) => Err(Error::NoSuchKey { key: redact_key(&raw) }),
            Err(error) => {
                let error = failed("increment", &raw)(error);
                let is_other = |words: &str| {
                    words.contains("not an integer") || words.contains("would overflow")
                };
                if error.refusal().is_some_and(is_other) {
                    return self.add_to_other(&raw, delta).await;
                }
                Err(error)
            }
        }
    }

    /// Subtracts from a number and returns the difference; see [`Cache::incr`].
    ///
    /// # Errors
    /// As for [`Cache::incr`].
    pub async fn decr(&self, key: &str, delta: i64) -> Result<PyValue, Error> {
        match delta.checked_neg() {
            Some(delta) => self.incr(key, delta).await,
            None => Err(Error::NotANumber { key: redact_key(&self.raw_key(key)) }),
        }
    }

    /// As [`Cache::incr`], with nothing being zero without a timeout: django-redis's
    /// `ignore_key_check=True`.
    ///
    /// # Errors
    /// [`Error::NotANumber`] for what is no int of 64 bits; [`Error::Redis`].
    pub async fn incr_ignoring_missing(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let raw = self.raw_key(key);
        let sum = self.run("increment", &raw, cmd("INCRBY").arg(&raw).arg(delta)).await;
        sum.map_err(|error| match error.refusal() {
            Some(words) if words.contains("integer") || words.contains("overflow") => {
                Error::NotANumber { key: redact_key(&raw) }
            }
            _ => error,
        })
    }

    async fn add_to_other(&self, raw: &str, delta: i64) -> Result<PyValue, Error> {
        let missing = || Error::NoSuchKey { key: redact_key(raw) };
        for _ in 0..TRIES {
            let (before, _) = self.fetch_with_ttl(raw).await?.ok_or_else(missing)?;
            let sum = plus(&self.decode(raw, &before)?, delta);
            let sum = sum.ok_or_else(|| Error::NotANumber { key: redact_key(raw) })?;
            let args = [before, self.encode(raw, &sum)?];
            let swapped = self.redis().eval::<bool>(&SWAP, &[raw.to_owned()], &args, &[]).await;
            if swapped.map_err(failed("increment", raw))? {
                return Ok(sum);
            }
        }
        Err(Error::Contended { key: redact_key(raw) })
    }
}

/// Python's `value + delta`, for ints of up to 128 bits, bools and floats.
fn plus(value: &PyValue, delta: i64) -> Option<PyValue> {
    let int = match value {
        PyValue::Float(float) => return Some(PyValue::Float(float + delta as f64)),
        PyValue::Bool(b) => i128::from(*b),
        PyValue::Int(int) => i128::from(*int),
        PyValue::BigInt(int) => i128::try_from(int).ok()?,
        _ => return None,
    };
    Some(PyValue::from(BigInt::from(int.checked_add(i128::from(delta))?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_pythons() {
        let big = PyValue::parse_int;
        assert_eq!(plus(&PyValue::Int(i64::MAX), 1), big("9223372036854775808"));
        assert_eq!(plus(&big("9223372036854775808").unwrap(), -1), Some(PyValue::Int(i64::MAX)));
        assert_eq!(plus(&PyValue::Bool(true), 1), Some(PyValue::Int(2)));
        assert_eq!(plus(&PyValue::Float(0.5), 2), Some(PyValue::Float(2.5)));
        assert_eq!(plus(&PyValue::from("1"), 1), None);
    }
}
