use proptest::prelude::*;

use super::*;
use crate::entry::{CatchUp, CrontabText};

fn compiled(config: ScheduleConfig) -> Schedule {
    Schedule::compile("s", config, "UTC").unwrap()
}

fn every(seconds: u64) -> ScheduleConfig {
    let when = When::Every { every: Duration::from_secs(seconds), relative: false };
    ScheduleConfig { when, ..ScheduleConfig::default() }
}

fn relative(seconds: u64, zone: &str) -> ScheduleConfig {
    let when = When::Every { every: Duration::from_secs(seconds), relative: true };
    ScheduleConfig { when, timezone: Some(zone.into()), ..ScheduleConfig::default() }
}

fn cron(line: &str) -> ScheduleConfig {
    let when = When::Crontab(CrontabText::from_line(line).unwrap().into());
    ScheduleConfig { when, ..ScheduleConfig::default() }
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-23T{text}Z").parse().unwrap()
}

fn since(last: Timestamp) -> Progress {
    Progress { last, anchor: last, runs: 0 }
}

fn publish(tick: Timestamp, missed: u64) -> Step {
    Step { tick, publish: true, missed }
}

fn pass(tick: Timestamp, missed: u64) -> Step {
    Step { tick, publish: false, missed }
}

#[test]
fn a_crontab_is_due_when_celery_says_so() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/celery_5_7_crontab.json")).unwrap();
    let cases =
        golden["interval"].as_array().unwrap().iter().filter(|c| c.get("crontab").is_some());
    let mut checked = 0;
    for case in cases {
        let now = at(case["now"].as_str().unwrap());
        let progress = since(at(case["last_run"].as_str().unwrap()));
        let schedule = compiled(cron("*/15 * * * *"));
        let due = schedule.due(&progress, now);
        assert_eq!(!due.is_empty(), case["is_due"].as_bool().unwrap(), "{case}");
        let wait = schedule.next_after(now, now).unwrap().duration_since(now).as_secs_f64();
        assert_eq!(Some(wait), case["next"].as_f64(), "{case}");
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// Celery's next wait after a firing is a whole period from then, ours is to the next point of the
/// grid.
#[test]
fn an_interval_is_due_when_celery_says_so() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/celery_5_7_crontab.json")).unwrap();
    let cases = golden["interval"].as_array().unwrap().iter().filter(|c| c.get("every").is_some());
    let now = at("12:00:00");
    let mut checked = 0;
    for case in cases {
        let (seconds, ago) =
            (case["every"].as_u64().unwrap(), case["seconds_since_last_run"].as_i64().unwrap());
        let last = now - SignedDuration::from_secs(ago);
        let is_relative = case["relative"].as_bool().unwrap();
        let schedule =
            compiled(if is_relative { relative(seconds, "UTC") } else { every(seconds) });
        let due = !schedule.due(&since(last), now).is_empty();
        assert_eq!(due, case["is_due"].as_bool().unwrap(), "{case}");
        if !due {
            let wait = schedule.next_at(&since(last)).unwrap().duration_since(now).as_secs_f64();
            assert_eq!(Some(wait), case["next"].as_f64(), "{case}");
        }
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn of_missed_ticks_only_the_last_is_due() {
    let quarter = compiled(cron("*/15 * * * *"));
    let due = quarter.due(&since(at("09:00:00")), at("12:50:00"));
    assert_eq!(due, [publish(at("12:45:00"), 14)]);
    let due = quarter.due(&since("1999-01-01T00:00:00Z".parse().unwrap()), at("12:50:00"));
    assert_eq!(due[0].tick, at("12:45:00"));
    let due = compiled(every(30)).due(&since(at("09:00:00")), at("12:50:07"));
    assert_eq!(due, [publish(at("12:50:00"), 459)]);
}

#[test]
fn a_schedule_of_every_second_for_a_year_is_counted_and_bounded() {
    let year_ago = at("12:00:00") - SignedDuration::from_hours(365 * 24);
    let year: u64 = 365 * 86_400;
    let due = compiled(every(1)).due(&since(year_ago), at("12:00:00"));
    assert_eq!(due, [publish(at("12:00:00"), year - 1)]);
    let all = ScheduleConfig { catch_up: CatchUp::ALL, ..every(1) };
    let due = compiled(all).due(&since(year_ago), at("12:00:00"));
    assert_eq!(due.len(), 1_000);
    assert_eq!(due[0], publish(at("11:43:21"), year - 1_000));
    assert_eq!(due[999], publish(at("12:00:00"), 0));
    let due = compiled(cron("* * * * * *")).due(&since(year_ago), at("12:00:00"));
    assert_eq!((due.len(), due[0].tick), (1, at("12:00:00")));
    assert!(due[0].missed >= 99_999, "{due:?}");
}

#[test]
fn a_tick_is_due_once() {
    let quarter = compiled(cron("*/15 * * * *"));
    let first = quarter.due(&since(at("12:44:00")), at("12:45:00"));
    assert_eq!(first, [publish(at("12:45:00"), 0)]);
    for now in ["12:45:00", "12:59:59"] {
        assert_eq!(quarter.due(&since(first[0].tick), at(now)), [], "{now}");
    }
}

#[test]
fn a_clock_that_went_back_publishes_nothing_twice() {
    let schedule = compiled(every(60));
    assert_eq!(schedule.due(&since(at("12:00:00")), at("11:00:30")), []);
    assert_eq!(schedule.due(&since(at("12:00:00")), at("12:01:30")).len(), 1);
}

#[test]
fn all_missed_ticks_are_due_in_order_within_the_bounds() {
    let check = |max, window, expect: &[Step]| {
        let catch_up = CatchUp::All { max, window: Duration::from_secs(window) };
        let schedule = compiled(ScheduleConfig { catch_up, ..every(60) });
        assert_eq!(schedule.due(&since(at("12:00:00")), at("12:05:10")), expect);
    };
    let ticks = ["12:01:00", "12:02:00", "12:03:00", "12:04:00", "12:05:00"].map(at);
    check(10, 3_600, &ticks.map(|tick| publish(tick, 0)));
    check(2, 3_600, &[publish(ticks[3], 3), publish(ticks[4], 0)]);
    check(10, 130, &[publish(ticks[2], 2), publish(ticks[3], 0), publish(ticks[4], 0)]);
    check(10, 5, &[pass(ticks[4], 5)]);
}

#[test]
fn a_tick_that_is_too_late_is_passed_over() {
    let grace = |seconds| Some(Duration::from_secs(seconds));
    let check = |config: ScheduleConfig, now: &str, expect: &[Step]| {
        assert_eq!(compiled(config).due(&since(at("12:00:00")), at(now)), expect, "{now}");
    };
    let hourly = || every(3_600);
    check(
        ScheduleConfig { misfire_grace: grace(60), ..hourly() },
        "13:01:00",
        &[publish(at("13:00:00"), 0)],
    );
    check(
        ScheduleConfig { misfire_grace: grace(60), ..hourly() },
        "13:01:01",
        &[pass(at("13:00:00"), 1)],
    );
    let none = || ScheduleConfig { catch_up: CatchUp::None, ..hourly() };
    check(none(), "15:00:12", &[publish(at("15:00:00"), 2)]);
    check(none(), "15:00:31", &[pass(at("15:00:00"), 3)]);
    check(
        ScheduleConfig { misfire_grace: grace(600), ..none() },
        "15:10:00",
        &[publish(at("15:00:00"), 2)],
    );
}

#[test]
fn a_schedule_has_its_start_its_end_and_its_number_of_runs() {
    let moment = |text: &str| Some(Moment::Local(format!("2026-11-23T{text}").parse().unwrap()));
    let window = ScheduleConfig {
        start_at: moment("13:00:00"),
        end_at: moment("15:00:00"),
        timezone: Some("Europe/Berlin".into()),
        ..cron("0 * * * *")
    };
    let schedule = compiled(window);
    let ticks =
        std::iter::successors(Some(at("09:00:00")), |t| schedule.next_after(*t, *t)).skip(1);
    assert_eq!(ticks.collect::<Vec<_>>(), ["12:00:00", "13:00:00", "14:00:00"].map(at));
    assert_eq!(schedule.due(&since(at("09:00:00")), at("20:00:00")), [publish(at("14:00:00"), 2)]);
    assert_eq!(schedule.next_at(&since(at("14:00:00"))), None);

    let thrice =
        compiled(ScheduleConfig { max_runs: Some(3), catch_up: CatchUp::ALL, ..every(60) });
    let progress = |runs| Progress { runs, ..since(at("12:00:00")) };
    assert_eq!(thrice.due(&progress(1), at("12:09:00")).len(), 2);
    assert_eq!(thrice.due(&progress(3), at("12:09:00")), []);
    assert_eq!(thrice.next_at(&progress(3)), None);
}

#[test]
fn a_one_off_time_is_due_once_in_its_time_zone() {
    let when = When::At(Moment::Local("2026-11-23T13:00:00".parse().unwrap()));
    let once = ScheduleConfig {
        when,
        timezone: Some("Europe/Berlin".into()),
        ..ScheduleConfig::default()
    };
    let once = compiled(once);
    assert_eq!(once.due(&since(at("11:59:59")), at("11:59:59")), []);
    assert_eq!(once.due(&since(at("11:00:00")), at("12:00:05")), [publish(at("12:00:00"), 0)]);
    assert_eq!(once.due(&since(at("12:00:00")), at("12:00:05")), []);
    assert_eq!(once.next_at(&since(at("12:00:00"))), None);
    assert_eq!(once.words(), "once, at 2026-11-23 13:00:00 (Europe/Berlin)");
}

#[test]
fn an_intervals_grid_begins_where_it_was_first_seen() {
    let schedule = compiled(every(3_600));
    let anchor = at("10:17:00");
    assert_eq!(schedule.next_after(at("12:20:00"), anchor), Some(at("13:17:00")));
    assert_eq!(schedule.next_after(at("13:17:00"), anchor), Some(at("14:17:00")));
    let progress = Progress { last: at("11:17:00"), anchor, runs: 2 };
    assert_eq!(schedule.due(&progress, at("14:00:00")), [publish(at("13:17:00"), 1)]);
}

#[test]
fn a_relative_interval_is_on_whole_units_of_local_time() {
    let next = |config, after: &str, anchor: &str| {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let next = compiled(config).next_after(at(after), at(anchor)).unwrap();
        zone.to_datetime(next).strftime("%d %H:%M:%S").to_string()
    };
    // Kolkata is 05:30 ahead of UTC.
    assert_eq!(next(relative(3_600, "Asia/Kolkata"), "10:47:00", "10:47:00"), "23 17:00:00");
    assert_eq!(next(relative(7_200, "Asia/Kolkata"), "10:47:00", "10:47:00"), "23 18:00:00");
    assert_eq!(next(relative(90, "Asia/Kolkata"), "10:47:10", "10:47:05"), "23 16:18:30");
    assert_eq!(next(relative(86_400, "Asia/Kolkata"), "10:47:00", "10:47:00"), "24 00:00:00");
    assert_eq!(next(relative(2 * 86_400, "Asia/Kolkata"), "10:47:00", "10:47:00"), "25 00:00:00");
    // A day is 25 hours long where clocks are put back.
    let daily = compiled(relative(86_400, "Europe/Berlin"));
    let anchor = "2026-10-24T12:00:00Z".parse().unwrap();
    let first = daily.next_after(anchor, anchor).unwrap();
    let second = daily.next_after(first, anchor).unwrap();
    assert_eq!(second.duration_since(first), SignedDuration::from_hours(25));
}

#[test]
fn the_entrys_time_zone_goes_before_the_beats() {
    let nine = ScheduleConfig { timezone: Some("America/Sao_Paulo".into()), ..cron("0 9 * * *") };
    assert_eq!(compiled(nine).next_at(&since(at("00:00:00"))), Some(at("12:00:00")));
}

#[test]
fn what_cannot_run_is_an_error() {
    let check = |config: ScheduleConfig, zone: &str, expect: &str| {
        let error = Schedule::compile("s", config, zone).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(every(0), "UTC", "at least 1 second");
    check(every(5), "Mars/Olympus", "`Mars/Olympus` is not a time zone");
    let text = CrontabText { minute: "61".into(), ..CrontabText::default() };
    let config = ScheduleConfig { when: When::Crontab(text.into()), ..ScheduleConfig::default() };
    check(config, "UTC", "minute `61`");
    let jitter =
        |seconds, config| ScheduleConfig { jitter: Duration::from_secs(seconds), ..config };
    check(jitter(60, every(60)), "UTC", "less than 60 s");
    check(jitter(900, cron("*/15 * * * *")), "UTC", "less than 900 s");
    check(jitter(300, cron("0,55 * * * *")), "UTC", "less than 300 s");
    check(jitter(3_600, cron("0 8,9 * * *")), "UTC", "less than 3600 s");
    check(jitter(1, cron("* * * * * *")), "UTC", "less than 1 s");
    let moment = |n| Some(Moment::Instant(Timestamp::from_second(n).unwrap()));
    check(
        ScheduleConfig { start_at: moment(5), end_at: moment(5), ..every(5) },
        "UTC",
        "`end_at` is not after",
    );
}

#[test]
fn schedules_are_told_in_words() {
    for (config, expect) in [
        (cron("0 * * * *"), "every hour at minute 0 (UTC)"),
        (every(1), "every second"),
        (every(30), "every 30 seconds"),
        (every(5_400), "every 90 minutes"),
        (every(86_400), "every day"),
        (relative(7_200, "Asia/Kolkata"), "every 2 hours, on the hour (Asia/Kolkata)"),
        (relative(86_400, "Asia/Kolkata"), "every day, at midnight (Asia/Kolkata)"),
    ] {
        assert_eq!(compiled(config).words(), expect);
    }
}

#[test]
fn the_digest_is_that_of_the_timetable() {
    let digest = |config| compiled(config).digest();
    assert_eq!(
        digest(every(5)),
        digest(ScheduleConfig { priority: Some(3), args: vec![1.into()], ..every(5) })
    );
    let zone = |zone: &str| ScheduleConfig { timezone: Some(zone.into()), ..cron("0 9 * * *") };
    let all = [
        digest(every(5)),
        digest(every(6)),
        digest(relative(5, "UTC")),
        digest(zone("UTC")),
        digest(zone("Asia/Tokyo")),
        digest(ScheduleConfig { dst: Dst::Both, ..zone("UTC") }),
        digest(ScheduleConfig { enabled: false, ..zone("UTC") }),
    ];
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    // Kept in Redis: another one with the next version would begin every timetable anew.
    assert_eq!(digest(every(5)), "dc6ac19c36c376da");
    // The published test vector of FNV-1a.
    assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn jitter_puts_ticks_off_by_what_they_decide_and_keeps_their_order() {
    let schedule = compiled(ScheduleConfig { jitter: Duration::from_secs(50), ..every(60) });
    let mut progress = since(at("12:00:00"));
    let (mut moments, mut offsets) = (Vec::new(), std::collections::BTreeSet::new());
    for n in 1..=50 {
        let ready = schedule.next_at(&progress).unwrap();
        let tick = at("12:00:00") + SignedDuration::from_secs(60 * n);
        assert!(ready >= tick && ready <= tick + SignedDuration::from_secs(50));
        offsets.insert(ready.duration_since(tick));
        assert_eq!(schedule.due(&progress, ready - SignedDuration::from_nanos(1)), []);
        assert_eq!(schedule.due(&progress, ready), [publish(tick, 0)]);
        progress.last = tick;
        moments.push(ready);
    }
    assert!(moments.is_sorted() && offsets.len() > 40, "{offsets:?}");
}

proptest! {
    #[test]
    fn the_due_tick_is_the_last_one_up_to_now(
        last in 1_700_000_000i64..1_800_000_000, past in 0i64..100_000_000, seconds in 1u64..100_000,
        minute in 0u8..60, cron_one: bool, is_relative: bool,
    ) {
        let config = match (cron_one, is_relative) {
            (true, _) => cron(&format!("{minute} * * * *")),
            (false, true) => relative(seconds, "Europe/Berlin"),
            (false, false) => every(seconds),
        };
        let schedule = compiled(config);
        let last = Timestamp::from_second(last).unwrap();
        let now = last + SignedDuration::from_secs(past);
        let next = schedule.next_after(now, last).unwrap();
        prop_assert!(next > now);
        match schedule.due(&since(last), now).as_slice() {
            [step] => {
                prop_assert!(step.publish && step.tick > last && step.tick <= now);
                prop_assert_eq!(schedule.next_after(step.tick, last).unwrap(), next);
            }
            due => {
                prop_assert!(due.is_empty());
                prop_assert!(schedule.next_after(last, last).unwrap() > now);
            }
        }
    }

    #[test]
    fn published_and_missed_ticks_are_all_there_are(
        past in 0i64..20_000, seconds in 1u64..600, max in 1u32..50, window in 1u64..20_000, grace in 1u64..20_000,
        minutes: bool,
    ) {
        let catch_up = CatchUp::All { max, window: Duration::from_secs(window) };
        let base = if minutes { cron("*/7 * * * *") } else { every(seconds) };
        let misfire_grace = Some(Duration::from_secs(grace));
        let schedule = compiled(ScheduleConfig { catch_up, misfire_grace, ..base });
        let (last, now) = (at("00:00:03"), at("00:00:03") + SignedDuration::from_secs(past));
        let ticks = std::iter::successors(Some(last), |t| schedule.next_after(*t, last)).skip(1);
        let n = ticks.take_while(|tick| *tick <= now).count();
        let due = schedule.due(&since(last), now);
        let told: u64 = due.iter().map(|step| u64::from(step.publish) + step.missed).sum();
        prop_assert_eq!(told, n as u64);
        prop_assert!(due.is_sorted_by_key(|step| step.tick));
    }
}
