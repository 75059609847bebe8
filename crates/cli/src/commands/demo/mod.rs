//! `rhubarb demo`: everything at once on this machine.
//!
//! Whatever ends it (time, Ctrl-C, SIGTERM, a process that dies, an error), the processes are
//! stopped by their ids in reverse order and the temporary folder is removed. A panic drops them,
//! which kills.

mod follow;
mod report;

use std::time::Duration;

use rhubarb_core::shutdown::Shutdown;
use rhubarb_demo::{Demo, Programs};
use rhubarb_settings::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::follow::Seen;
use crate::{error::Error, output};

/// The demo counts as shown when listings came from this many kinds of sources.
const WANTED_KINDS: usize = 4;

/// Runs the demo until it is told to stop, or until `seconds` after all is up.
///
/// # Errors
/// Says in one sentence why it could not be shown; nothing of it runs any more then.
pub(crate) async fn run(seconds: Option<u64>) -> Result<(), Error> {
    // Listened to before anything is started, so that no signal finds children that nobody stops.
    let mut stop = Stop::listen()?;
    let programs = Programs::find(std::env::var_os("PATH").as_deref())?;
    let mut demo = Demo::new()?;
    let mut seen = Seen::default();
    let limit = seconds.map(Duration::from_secs);
    let shown = tokio::select! {
        shown = show(&programs, &mut demo, &mut seen, limit) => shown,
        () = stop.received() => Ok(()),
    };
    let shown = match shown {
        Ok(()) => seen.close(),
        Err(error) => Err(error),
    };
    let stopped = demo.stop().await;
    shown?;
    stopped?;
    output::print("\nStopped; nothing is left running.")?;
    match seen.kinds() {
        kinds if kinds >= WANTED_KINDS => Ok(()),
        kinds => Err(Error::Failed(format!(
            "listings were seen from {kinds} kinds of sources only, {WANTED_KINDS} were expected"
        ))),
    }
}

/// Starts everything and follows it.
async fn show(
    programs: &Programs,
    demo: &mut Demo,
    seen: &mut Seen,
    limit: Option<Duration>,
) -> Result<(), Error> {
    let started = demo.start(programs).await?;
    let config = Settings::from_toml(&started.toml)
        .map_err(|problems| rhubarb_demo::Error::Configuration(problems.to_string()))?;
    let mut served = config.clone();
    served.web.port = 0;
    let web = rhubarb_web::bind(served, &Shutdown::new()).await;
    let web = web.map_err(|error| Error::Failed(error.to_string()))?;
    output::print(&report::heading(&started, &config, demo.dir(), &web.url()))?;
    let followed = tokio::select! {
        () = web.run() => Ok(()),
        followed = follow::follow(&config, limit, seen) => followed,
        error = demo.one_ended() => Err(error.into()),
    };
    match followed {
        Err(Error::Demo(rhubarb_demo::Error::NotUp { name })) => Err(demo.not_up(name).into()),
        followed => followed,
    }
}

/// What asks the demo to stop: Ctrl-C, SIGTERM, and the terminal's end.
#[derive(Debug)]
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn listen() -> Result<Self, rhubarb_demo::Error> {
        let on = |kind| {
            signal(kind).map_err(|source| rhubarb_demo::Error::Start { what: "the demo", source })
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
