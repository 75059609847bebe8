//! One declaration for each setting, and what follows from it.
//!
//! [`settings!`] declares a table of the file: each setting's name, type, default, what it accepts,
//! its words and variables. A table may hold others, down from the one that is the whole file. From
//! the declarations come reading it ([`load`]: file < environment < flags, every problem at once),
//! `--print-config` ([`Loaded`]), the commented template ([`template`]) and the reference page
//! ([`reference()`]).

mod collection;
mod facts;
mod load;
mod origins;
mod pages;
mod part;
mod pieces;
pub mod redact;
mod redis_url;
pub mod rules;
mod secret;
mod table;
mod toml_text;
mod value;

pub use collection::Entry;
pub use facts::{Facts, Key};
pub use load::{Configuration, Environment, Loaded, Problems, from_toml, load};
pub use origins::Origins;
pub use pages::{in_force, reference, template};
pub use part::{Collection, Item, ItemKind, Part, Reader, Reading};
pub use redis_url::{deadline_of, parse as redis_url};
pub use secret::Secret;
pub use table::{Inner, Row, Rule, Table};
pub use toml_text::{inline, key, quoted};
pub use value::{Input, Kept, LONGEST_QUEUE_NAME, Shown, Value, Wrong, is_queue_name};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
