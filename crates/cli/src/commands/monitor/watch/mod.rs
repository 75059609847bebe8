//! `--watch`: the live view. `look` asks, `history` remembers, `draw` shows, `screen` is the
//! terminal.

mod draw;
mod history;
mod look;
mod screen;

use std::{
    io,
    time::{Duration, Instant},
};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use rhubarb_core::shutdown::Shutdown;
use rhubarb_queue::Client;
use rhubarb_settings::Settings;
use tokio::sync::mpsc;

use self::{history::History, screen::Screen};
use super::servers::Server;
use crate::error::Error;

/// How often the view is drawn where nothing happens, so that its clock and the length of an outage
/// go on.
const REDRAW: Duration = Duration::from_secs(1);

/// Shows the live view until q, Esc, Ctrl-C or SIGTERM; the terminal is as before afterwards.
pub(super) async fn run(
    config: &Settings,
    servers: Vec<Server>,
    client: Client,
    interval: Duration,
) -> Result<(), Error> {
    let shutdown = Shutdown::new();
    let signals = shutdown.listen()?;
    let mut history = History::new(&servers, interval);
    // Opened last of what may fail: an error then has a terminal to be told on.
    let mut screen = Screen::open()?;
    let shown = tokio::select! {
        shown = show(&mut screen, &mut history, look::begin(config, servers, client, interval)) => shown,
        () = signals => Ok(()),
        () = shutdown.drained() => Ok(()),
    };
    drop(screen);
    Ok(shown?)
}

async fn show(
    screen: &mut Screen,
    history: &mut History,
    mut looking: look::Looking,
) -> io::Result<()> {
    let mut keys = EventStream::new();
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        screen.draw(|frame| draw::draw(frame, history, Instant::now()))?;
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(event)) if quits(&event) => return Ok(()),
                // A new size is taken at the next drawing.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            update = looking.next() => match update {
                Some(update) => history.take(update),
                None => return Err(io::Error::other("nobody looks any more")),
            },
            _ = redraw.tick() => {}
        }
    }
}

fn quits(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return false };
    let ctrl_c = *code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
    *kind != KeyEventKind::Release
        && (ctrl_c || matches!(code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}

/// The way of what was seen to the view.
type Updates = mpsc::Receiver<history::Update>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_ends_by_q_escape_or_ctrl_c_and_by_no_other_key() {
        let key = |code, modifiers| quits(&Event::Key(KeyEvent::new(code, modifiers)));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!quits(&Event::Resize(80, 24)));
    }
}
