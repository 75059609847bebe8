//! What a health check and a scraper may know of one beat.

use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rhubarb_core::{
    metrics::{self as m, Exposition},
    shutdown::Shutdown,
};
use rhubarb_probe::{Health, Vital};

/// So long the loop may stand until it counts as stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A beat's health and metrics.
#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<State>,
    stuck: Duration,
    shutdown: Shutdown,
}

/// What the loop has last said.
#[derive(Clone, Copy, Debug)]
struct State {
    turned: Instant,
    leads: Option<bool>,
    schedules: usize,
}

impl Pulse {
    pub(crate) fn new(lease: Duration, shutdown: &Shutdown) -> Self {
        let state = State { turned: Instant::now(), leads: None, schedules: 0 };
        let stuck = STUCK.max(2 * lease);
        Self { state: Mutex::new(state), stuck, shutdown: shutdown.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the loop turns: whether this beat leads, where Redis has told, and how many
    /// schedules are on.
    pub(crate) fn turn(&self, leads: Option<bool>, schedules: usize) {
        *self.state() = State { turned: Instant::now(), leads, schedules };
    }
}

impl Vital for Pulse {
    fn live(&self) -> Health {
        let stands = self.state().turned.elapsed();
        if stands <= self.stuck || self.shutdown.is_draining() {
            return Ok(());
        }
        Err(format!("the beat has not looked at its schedules for {} s", stands.as_secs()))
    }

    fn ready(&self) -> Pin<Box<dyn Future<Output = Health> + Send + '_>> {
        let leads = self.state().leads;
        let health = match (self.shutdown.is_draining(), leads) {
            (true, _) => Err("the beat is stopping".to_owned()),
            (false, None) => Err("Redis cannot be used, or has not told yet who leads".to_owned()),
            (false, Some(_)) => self.live(),
        };
        Box::pin(std::future::ready(health))
    }

    fn metrics(&self) -> String {
        let State { turned, leads, schedules } = *self.state();
        let mut text = Exposition::default();
        text.metric(&m::BEAT_LEADING).add(&[], f64::from(u8::from(leads == Some(true))));
        let schedules = u32::try_from(schedules).ok().map(f64::from);
        text.metric(&m::BEAT_SCHEDULES).add(&[], schedules.filter(|_| leads == Some(true)));
        text.metric(&m::BEAT_STANDS).add(&[], turned.elapsed().as_secs_f64());
        let spans = rhubarb_trace::counts();
        let mut told = text.metric(&m::BEAT_SPANS);
        for (state, count) in [("exported", spans.exported), ("dropped", spans.dropped)] {
            // So many that a float is not exact are not met.
            told.add(&[state], u32::try_from(count).map_or(f64::from(u32::MAX), f64::from));
        }
        text.into_text()
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_core::shutdown::StopSignal;

    use super::*;

    #[tokio::test]
    async fn a_beat_is_ready_once_it_knows_who_leads_and_until_it_stops() {
        let shutdown = Shutdown::new();
        let pulse = Pulse::new(Duration::from_secs(10), &shutdown);
        assert!(pulse.live().is_ok() && pulse.ready().await.is_err());
        pulse.turn(Some(false), 0);
        assert!(pulse.ready().await.is_ok());
        assert!(pulse.metrics().contains("rhubarb_beat_leading 0\n"));
        pulse.turn(Some(true), 3);
        assert!(pulse.metrics().contains("rhubarb_beat_schedules 3\n"));
        pulse.turn(None, 3);
        assert!(pulse.ready().await.is_err() && pulse.live().is_ok());
        let early = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
        pulse.state().turned = early;
        assert!(pulse.live().unwrap_err().contains("61 s"));
        shutdown.request(StopSignal::Terminate);
        assert!(pulse.live().is_ok() && pulse.ready().await.is_err());
    }
}
