//! The command line of Rhubarb.

mod cli;
mod commands;
mod demo;
mod error;
mod output;
mod progress;
mod table;
mod view;

use clap::Parser;
pub fn run() -> u8 {
    let cli = cli::Cli::parse();
    let config = rhubarb_core::config::Config::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match runtime.block_on(commands::run(cli.command.unwrap(), config)) {
        Ok(()) => 0,
        Err(e) => {
            output::note(&format!("error: {}", e.message()));
            e.exit_code()
        }
    }
}
