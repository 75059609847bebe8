//! The live view at a real terminal.

use rhubarb_e2e::{
    eventually::eventually, installation::Installation, process::Signal, redis_server::RedisServer,
    terminal::Terminal,
};

use super::filled;
use crate::{BINARIES, shop::SOON};

/// What a terminal is told to leave its other screen, and to show its cursor.
const RESTORED: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

async fn shop() -> Installation {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    Installation::new(BINARIES, redis, "")
}

fn watch(installation: &Installation) -> Terminal {
    let args = ["monitor", "--watch", "--interval", "0.2"];
    Terminal::start(&installation.command(BINARIES.rhubarb, &args), 110, 30)
}

/// Waits until the terminal is as before; what was written last may still be on its way.
async fn restored(terminal: &Terminal) {
    eventually(SOON, "the terminal is given back", async || {
        let written = terminal.written();
        let is_left = RESTORED.iter().all(|sequence| written.contains(sequence));
        (is_left && terminal.is_as_before()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_view_starts_shows_what_there_is_and_gives_the_terminal_back_at_q() {
    let installation = shop().await;
    let mut terminal = watch(&installation);
    for text in ["memory", "clients", "commands/s", "waiting", "celery", "quits"] {
        terminal.shows(text, SOON).await;
    }
    assert!(!terminal.is_as_before(), "keys are read one by one");
    terminal.press("q");
    assert_eq!(terminal.ended(SOON).await.code(), Some(0), "{}", terminal.written());
    restored(&terminal).await;
}

#[tokio::test]
async fn the_terminal_is_given_back_at_sigterm_and_at_ctrl_c() {
    let installation = shop().await;
    for stop in [Some(Signal::TERM), Some(Signal::INT), None] {
        let mut terminal = watch(&installation);
        terminal.shows("celery", SOON).await;
        match stop {
            Some(signal) => terminal.signal(signal),
            None => terminal.press("\u{3}"),
        }
        assert_eq!(terminal.ended(SOON).await.code(), Some(0), "{stop:?}");
        restored(&terminal).await;
    }
}

#[tokio::test]
async fn the_view_outlives_redis_says_so_and_goes_on_when_it_is_back() {
    let mut installation = shop().await;
    let mut terminal = watch(&installation);
    terminal.shows("celery", SOON).await;
    installation.redis.kill();
    terminal.shows("reached", SOON).await;
    terminal.forget();
    installation.redis.restart().await;
    terminal.shows("up", SOON).await;
    terminal.press("q");
    assert_eq!(terminal.ended(SOON).await.code(), Some(0));
    restored(&terminal).await;
}

#[tokio::test]
async fn another_size_of_the_window_is_filled_and_too_small_a_one_survived() {
    let installation = shop().await;
    let mut terminal = watch(&installation);
    terminal.shows("SCHEDULED", SOON).await;
    for (columns, rows) in [(9, 3), (140, 50)] {
        terminal.forget();
        terminal.resize(columns, rows);
        // All of it is written anew.
        terminal.shows("rhubarb", SOON).await;
    }
    terminal.shows("SCHEDULED", SOON).await;
    terminal.press("q");
    assert_eq!(terminal.ended(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn without_a_terminal_the_view_refuses_and_says_what_is_for_programs() {
    let ran = shop().await.rhubarb(&["monitor", "--watch"]).await;
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("--json --interval"), "{}", ran.stderr);
}
