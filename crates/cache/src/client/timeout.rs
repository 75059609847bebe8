//! How long values are kept, in Django's terms and in those of Redis.

use std::time::Duration;

/// How long a value is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The alias's own timeout.
    Default,
    /// For ever: Django's `timeout=None`.
    Never,
    /// So long, to the millisecond; less than one deletes the key, as zero and below do in Django.
    After(Duration),
}

/// How long a key will be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key: Django's `0`.
    Missing,
    /// For ever: Django's `None`.
    Never,
    /// So long.
    Left(Duration),
}

/// A timeout in the terms of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    Milliseconds(u64),
    Gone,
}

impl Expiry {
    pub(crate) fn new(timeout: Timeout, default: Option<Duration>) -> Self {
        let after = match timeout {
            Timeout::Default => default,
            Timeout::Never => None,
            Timeout::After(after) => Some(after),
        };
        // Redis adds it to its clock in 64 bits with a sign.
        const GREATEST: u64 = (i64::MAX / 2).cast_unsigned();
        match after.map(|after| u64::try_from(after.as_millis()).unwrap_or(GREATEST)) {
            None => Self::Never,
            Some(0) => Self::Gone,
            Some(ms) => Self::Milliseconds(ms.min(GREATEST)),
        }
    }

    /// Returns it longer by so much.
    pub(crate) fn and(self, more: Duration) -> Self {
        match self {
            Self::Milliseconds(ms) => {
                Self::new(Timeout::After(Duration::from_millis(ms).saturating_add(more)), None)
            }
            other => other,
        }
    }
}

impl Ttl {
    /// `PTTL` answers -2 without a key and -1 without an expiry.
    pub(crate) fn from_pttl(pttl: i64) -> Self {
        match u64::try_from(pttl) {
            Ok(ms) => Self::Left(Duration::from_millis(ms)),
            Err(_) if pttl == -1 => Self::Never,
            Err(_) => Self::Missing,
        }
    }
}
