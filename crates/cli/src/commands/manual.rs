//! `completions` and `man`: what shells and `man` are told of the command line.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, error::Error, output};

/// Prints what completes the commands in a shell.
pub(crate) fn completions(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rhubarb", &mut script);
    Ok(output::print(String::from_utf8_lossy(&script).trim_end())?)
}

/// Writes a manual page for each command into a folder.
pub(crate) fn man(folder: &Path) -> Result<(), Error> {
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
        let folder = folder.display();
        Error::Failed(format!("the manual pages cannot be written into {folder}: {error}"))
    })
}
