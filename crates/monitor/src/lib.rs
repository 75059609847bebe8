//! The command line of Rhubarb.

pub mod demo;
mod output;
mod progress;
mod table;
mod view;
