//! How long a crontab takes to say when it is due next: often, by day, across a change of the
//! clocks, once in many years.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{Timestamp, tz::TimeZone};
use rhubarb_schedule::{Crontab, CrontabText, Dst};

fn next(criterion: &mut Criterion) {
    let zone = TimeZone::get("Europe/Berlin").expect("the time zones are built in");
    // The night in which Berlin's clocks are put forward.
    let after: Timestamp = "2026-03-28T23:15:00Z".parse().expect("it is a time");
    let mut group = criterion.benchmark_group("crontab next");
    for line in ["* * * * *", "*/15 9-17 * * mon-fri", "30 2 * * *", "0 0 29 2 mon"] {
        let text = CrontabText::from_line(line).expect("it is a cron line");
        let crontab = Crontab::parse(&text).expect("it is a crontab");
        group.bench_function(line, |b| {
            b.iter(|| crontab.next_after(black_box(after), &zone, Dst::Celery));
        });
    }
    group.finish();
}

criterion_group!(crontab, next);
criterion_main!(crontab);
