//! A program at a terminal of its own: what it writes, keys that are pressed, the window's size.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::eventually::eventually;

/// A running program with a terminal; killed when it is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    /// The person's side.
    person: File,
    /// The program's side, kept open so that its state can be looked at afterwards.
    program: File,
    before: Termios,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a command at a terminal of this size, which controls it as a login's terminal does.
    ///
    /// # Panics
    /// When the system gives no terminal, or has no `setsid` (util-linux and busybox have).
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal is free");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let name = ptsname(&person, Vec::new()).expect("it has a name").into_string();
        let name = name.expect("the name is text");
        let program = OpenOptions::new().read(true).write(true).open(name).expect("it opens");
        let before = tcgetattr(&program).expect("it is a terminal");
        resize(&program, columns, rows);

        let end = || program.try_clone().expect("it can be shared");
        let mut own = Command::new("setsid");
        own.arg("-c").arg(command.get_program()).args(command.get_args());
        own.env_clear().env("TERM", "xterm-256color");
        own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            own.current_dir(folder);
        }
        let child = own.stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = child.unwrap_or_else(|e| panic!("cannot start {own:?}: {e}"));
        let written = Arc::default();
        let person = File::from(person);
        listen(person.try_clone().expect("it can be shared"), Arc::clone(&written));
        Self { child, person, program, before, written }
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Gives the window another size, of which the system tells the program.
    pub fn resize(&self, columns: u16, rows: u16) {
        resize(&self.program, columns, rows);
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it still runs");
    }

    /// Returns all that was written so far, as text.
    pub fn written(&self) -> String {
        let bytes = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Forgets what was written so far.
    pub fn forget(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits until this was written.
    ///
    /// # Panics
    /// When it was not by the deadline.
    pub async fn shows(&self, text: &str, within: Duration) {
        let what = format!("the terminal shows `{text}`");
        eventually(within, &what, async || self.written().contains(text).then_some(())).await;
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    /// When it had not by the deadline.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let child = &mut self.child;
        eventually(within, "the program ends", async || child.try_wait().expect("it is ours")).await
    }

    /// Tells whether lines are edited and keys echoed as before the program began.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.program).expect("it is a terminal");
        let modes = |one: &Termios| (one.input_modes, one.output_modes, one.local_modes);
        modes(&now) == modes(&self.before)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- written to the terminal:\n{:?}", self.written());
        }
    }
}

fn resize(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

/// Reads until the program's side is closed by all, which Linux tells as an error.
fn listen(mut person: File, written: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = person.read(&mut buffer) {
            written.lock().unwrap_or_else(PoisonError::into_inner).extend(&buffer[..n]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clean_command;

    #[tokio::test]
    async fn a_program_at_a_terminal_is_heard_and_answered() {
        let mut command = clean_command("sh");
        command.args(["-c", "stty size; read answer; echo \"got $answer\"; exit 3"]);
        let mut terminal = Terminal::start(&command, 90, 30);
        terminal.shows("30 90", Duration::from_secs(10)).await;
        terminal.press("yes\n");
        terminal.shows("got yes", Duration::from_secs(10)).await;
        assert_eq!(terminal.ended(Duration::from_secs(10)).await.code(), Some(3));
        assert!(terminal.is_as_before());
    }
}
