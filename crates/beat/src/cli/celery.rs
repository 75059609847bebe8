//! What Celery's beat takes on its command line, and ours has no use for.

use rhubarb_core::celery_flags::{
    Flag, Flags,
    Says::{ChangesNothing, Refused},
    Takes,
};

/// The flags of `celery beat` that have no meaning here.
pub(super) struct OfBeat;

impl Flags for OfBeat {
    const OWN: &'static [Flag] = &[
        Flag {
            short: Some('s'),
            long: &["schedule"],
            takes: Takes::Text,
            says: |_| ChangesNothing("when each schedule ran last is kept in Redis"),
        },
        Flag {
            short: Some('S'),
            long: &["scheduler"],
            takes: Takes::Text,
            says: |name| match name.rsplit(['.', ':']).next() {
                Some("Scheduler" | "PersistentScheduler" | "RedBeatScheduler") => ChangesNothing(
                    "schedules are those of the configuration, of Redis and of RedBeat",
                ),
                _ => Refused(
                    "schedules are those of the configuration, of Redis and of RedBeat; those of a Django project come \
                     over by `python -m rhubarb_tasks.schedules`",
                ),
            },
        },
        Flag {
            short: None,
            long: &["max-interval"],
            takes: Takes::Number,
            says: |_| ChangesNothing("beat wakes when a schedule is due or was changed"),
        },
        Flag {
            short: Some('n'),
            long: &["hostname"],
            takes: Takes::Text,
            says: |_| ChangesNothing("a beat answers no remote control, and so needs no name"),
        },
        Flag {
            short: None,
            long: &["no-enable-remote-control"],
            takes: Takes::Nothing,
            says: |_| ChangesNothing("a beat answers no remote control"),
        },
        Flag {
            short: None,
            long: &["enable-remote-control"],
            takes: Takes::Nothing,
            says: |_| {
                Refused(
                    "a beat answers no remote control; beat.ping_url tells a dead man's switch that \
                     it works",
                )
            },
        },
        Flag {
            short: None,
            long: &["detach"],
            takes: Takes::Nothing,
            says: |_| {
                Refused(
                    "a beat stays in the foreground; let a supervisor (systemd, a Procfile) start it",
                )
            },
        },
    ];
}
