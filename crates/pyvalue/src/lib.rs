//! Python's values as data: what a program in Rust reads and writes beside programs in Python.
//!
//! One value type, [`PyValue`], and one reader and one writer for each format: [`json`],
//! [`msgpack`] and [`pickle`]. [`exact`] reads JSON and MessagePack as `serde_json`'s values
//! instead, and loses nothing of what Python may write there: `NaN`, `1e400`, ints of any size,
//! halves of surrogate pairs. [`repr`](mod@repr) shows values as Python prints them.
//!
//! Ints beyond 64 bits are `num-bigint`'s, and the forms of MessagePack `rmp`'s. The readers are
//! our own, since what is read may be hostile: no pickle is executed, depth, number of values and
//! memory are counted before they are taken, and nothing panics. How many bytes come in is the
//! caller's to bound.
//!
//! The crate does no I/O, has no async code and reads no clock.
//!
//! ```
//! use rhubarb_pyvalue::{PyValue, json, pickle};
//!
//! let value = PyValue::Dict(vec![("n".into(), PyValue::Float(f64::INFINITY))]);
//! assert_eq!(json::write(&value)?, br#"{"n": Infinity}"#);
//! assert_eq!(pickle::read(&pickle::write(&value)?)?, value);
//! # Ok::<(), rhubarb_pyvalue::FormatError>(())
//! ```

pub mod exact;
pub mod json;
pub mod msgpack;
pub mod pickle;
pub mod repr;

mod error;
mod integer;
mod limits;
mod seal;
mod shown;
mod time;
mod tree;
mod value;

pub use error::{Bound, FormatError};
pub use limits::MAX_BYTES;
pub use num_bigint::BigInt;
pub use time::{DateTime, TimeDelta, TimeOfDay, Zone};
pub use value::{Decimal, PyValue};

/// The README's example is run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
