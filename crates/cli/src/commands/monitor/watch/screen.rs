//! The terminal while the view has it.

use std::io;

use ratatui::{DefaultTerminal, Frame};

/// The terminal's other screen, raw: given back when this is dropped, and when anything panics.
#[derive(Debug)]
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Self> {
        // It also sets a panic hook that gives the terminal back before the panic is told.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // Half-way, it may be raw already.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// Draws the view, in the terminal's size of now.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(view).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the process that is to panic.
    const PANICS: &str = "RHUBARB_TEST_PANICS_AT_A_TERMINAL";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a word from the test to itself, no setting")]
    fn the_terminal_is_given_back_when_the_view_panics() {
        if std::env::var(PANICS).is_ok() {
            let mut screen = Screen::open().unwrap();
            screen.draw(|_| panic!("in the middle of a frame")).unwrap();
        }
        // `script` (util-linux) runs a line at a terminal of its own.
        let this = std::env::current_exe().unwrap();
        let name = "commands::monitor::watch::screen::tests::the_terminal_is_given_back_when_the_view_panics";
        let line = format!("{} --exact {name} --nocapture; stty -a", this.display());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env(PANICS, "yes").stdin(Stdio::null());
        let output = script.output().expect("`script` of util-linux is installed");
        let written = String::from_utf8_lossy(&output.stdout);
        let at =
            |text: &str| written.find(text).unwrap_or_else(|| panic!("no {text:?} in {written}"));
        let told = at("in the middle of a frame");
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"));
        assert!(at("\u{1b}[?1049l") < told, "the panic is told on the screen that stays");
        assert!(at(" icanon") > told && at(" echo ") > told, "keys are echoed again: {written}");
    }
}
