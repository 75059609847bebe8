//! Python's pickle format, read and written as data: nothing is ever imported or executed.
//!
//! It is ours because the crates that read pickles make what they are told to, without a bound:
//! sharing lets 100 bytes stand for 2^50 values. Whatever is read here takes bounded memory, and a
//! class that is not data is an error that names it.
//!
//! ```
//! use rhubarb_pyvalue::{FormatError, PyValue, pickle};
//!
//! let value = PyValue::List(vec![PyValue::from("a"), PyValue::Int(1)]);
//! assert_eq!(pickle::read(&pickle::write(&value)?)?, value);
//! let evil = pickle::read(b"cos\nsystem\n(S'true'\ntR.");
//! assert!(matches!(evil, Err(FormatError::Unsupported { class }) if class == "os.system"));
//! # Ok::<(), FormatError>(())
//! ```

mod call;
mod class;
mod input;
mod opcode;
mod read;
mod skim;
mod value;
mod write;

pub use read::read;
pub use skim::text_of;
pub use write::write;
