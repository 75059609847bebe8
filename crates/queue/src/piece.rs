//! An answer of the scripts that read in pieces, so that nothing is fetched whose size is not known
//! to fit.

use ::redis::{FromRedisValue, ParsingError};

/// What comes next, and the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where to go on; negative at the end.
    pub next: i64,
    /// The values that fit.
    pub values: Vec<Vec<u8>>,
}

impl FromRedisValue for Piece {
    fn from_redis_value(value: ::redis::Value) -> Result<Self, ParsingError> {
        let mut values = Vec::<::redis::Value>::from_redis_value(value)?.into_iter();
        let next = i64::from_redis_value(values.next().unwrap_or(::redis::Value::Int(-1)))?;
        let values = values.map(Vec::<u8>::from_redis_value).collect::<Result<_, _>>()?;
        Ok(Self { next, values })
    }
}
