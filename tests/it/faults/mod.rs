//! What holds on the worst day: a bad network, a bad server, killed and stopped workers, turned
//! clocks.
//!
//! [`random`] does all of it in a seeded random order and asks an oracle; the other modules each
//! show one promise.

mod clock;
mod field;
mod idle;
mod load;
mod oracle;
mod outage;
mod proxy;
mod random;
mod schedule;
mod stopping;
mod watchdog;
