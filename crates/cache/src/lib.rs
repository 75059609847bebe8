//! Placeholder.
#![allow(missing_docs)]
mod bigint;
pub mod codec;
mod format;
pub mod key;
mod msgpack;
mod pickle;
mod value;

pub use bigint::BigInt;
pub use format::FormatError;
pub use value::{DateTime, Decimal, PyValue, TimeDelta};
