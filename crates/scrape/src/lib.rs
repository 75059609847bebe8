//! Fetches job boards politely and reads listings out of what they answer.

pub mod error;
pub mod fetch;
pub mod page;
pub mod proxies;
pub mod robots;

pub mod address;
pub mod charset;
mod politeness;
