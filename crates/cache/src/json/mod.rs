//! JSON as Python's `json` module reads it and Django's encoder writes it for django-redis.
//!
//! It is not `serde_json`'s: ints have any size, floats may be `NaN` or infinite, and what cannot be written is an error
//! instead of something like it. The texts for times and decimals are those of `DjangoJSONEncoder` (Django 5.2.19).

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;
