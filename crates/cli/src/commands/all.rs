//! `all`: becomes the program that runs everything.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use crate::error::Error;

/// Becomes `rhubarb-all`, in this process; it returns only when that did not work.
pub(crate) fn become_all(flags: &[OsString]) -> Error {
    let program = match program() {
        Ok(program) => program,
        Err(error) => {
            return Error::Failed(format!("this program's own path is not known: {error}"));
        }
    };
    let error = Command::new(&program).args(flags).exec();
    let program = program.display();
    Error::Failed(format!("{program} cannot be started ({error}): put it beside `rhubarb`"))
}

/// The program beside this one: named after it, as `rhubarb-all` after `rhubarb`.
fn program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut name = own.file_name().unwrap_or_default().to_owned();
    name.push("-all");
    Ok(own.with_file_name(name))
}
