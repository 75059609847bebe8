//! The command line of Rhubarb.

pub mod demo;
mod output;
mod table;
