//! The clock of one process, turned while it runs: `libfaketime`, which `tests/run.sh` installs.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where Debian and its kin keep the library that turns one process's clock.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A wall clock for the processes that are started with it. Their monotonic clock goes on as it
/// does.
#[derive(Clone, Debug)]
pub struct Clock {
    library: &'static str,
    file: PathBuf,
}

impl Clock {
    /// Makes one that is right, kept in this folder under a name of its own; `None` where the
    /// library is not installed.
    ///
    /// # Panics
    /// When the folder cannot be written to.
    pub fn new(folder: &Path, name: &str) -> Option<Self> {
        let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists())?;
        let clock = Self { library, file: folder.join(name) };
        clock.turn(0);
        Some(clock)
    }

    /// Returns the environment of a process that has this clock.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        let file = self.file.to_str().expect("a folder for temporary files is text");
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_owned()),
            // Seconds after which it looks at the file again.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Sets it this many seconds before or behind the right time, within a second.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn turn(&self, seconds: i64) {
        // Replaced as a whole: the library reads at any time.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}")).expect("the folder is the test's own");
        fs::rename(&new, &self.file).expect("the folder is the test's own");
    }
}
