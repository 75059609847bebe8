//! The command line of Rhubarb.

use std::process::ExitCode;

fn main() -> ExitCode {
    rhubarb_cli::run(std::env::args_os()).into()
}
