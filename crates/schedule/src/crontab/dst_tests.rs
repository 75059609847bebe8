//! The policies where clocks are changed, against a plain reading of their table, at the
//! transitions of every zone.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const POLICIES: [Dst; 4] = [Dst::Celery, Dst::Skip, Dst::Once, Dst::Both];

fn every_zone() -> Vec<TimeZone> {
    let names = jiff::tz::db().available();
    let zones: Vec<TimeZone> = names.filter_map(|name| TimeZone::get(name.as_str()).ok()).collect();
    assert!(zones.len() > 400, "the bundled zones are there");
    zones
}

/// The transitions of 2006 to 2026 at which the offset changes.
fn transitions(zone: &TimeZone) -> Vec<Timestamp> {
    let from: Timestamp = "2006-01-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let all = zone.following(from).map(|change| change.timestamp());
    let changes = |at: &Timestamp| zone.to_offset(*at) != zone.to_offset(before(*at));
    all.take_while(|at| *at < until).filter(changes).collect()
}

fn before(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_nanos(1)
}

/// A moment of the policies' table: a minute at which a clock shows a time of the crontab.
fn shown(crontab: &Crontab, zone: &TimeZone, at: Timestamp) -> bool {
    let local = zone.to_datetime(at);
    names(crontab, local) && local.second() == 0
}

fn names(crontab: &Crontab, local: DateTime) -> bool {
    crontab.month_of_year.has(number(local.month()))
        && crontab.on(local.date())
        && crontab.hour.has(number(local.hour()))
        && crontab.minute.has(number(local.minute()))
}

/// What the policy's row of the table says for the minutes of `[from, until]`, the transition
/// `change` among them.
fn expected(
    crontab: &Crontab,
    zone: &TimeZone,
    policy: Dst,
    (from, change, until): (Timestamp, Timestamp, Timestamp),
) -> BTreeSet<Timestamp> {
    let minutes =
        || std::iter::successors(Some(from), |at| Some(*at + SignedDuration::from_mins(1)));
    let mut all: BTreeSet<Timestamp> = minutes()
        .take_while(|at| *at <= until)
        .filter(|at| shown(crontab, zone, *at))
        .filter(|at| {
            // The first pass is what the local time is taken for.
            policy == Dst::Both || zone.to_timestamp(zone.to_datetime(*at)).unwrap() == *at
        })
        .collect();
    if policy == Dst::Once {
        let end = zone.to_datetime(change);
        let start = zone.to_offset(before(change)).to_datetime(change);
        let minute = SignedDuration::from_mins(1);
        let gap = std::iter::successors(Some(start), |at| at.checked_add(minute).ok());
        if gap.take_while(|at| *at < end).any(|local| names(crontab, local)) {
            all.insert(change);
        }
    }
    all
}

fn found(
    crontab: &Crontab,
    zone: &TimeZone,
    policy: Dst,
    from: Timestamp,
    until: Timestamp,
) -> BTreeSet<Timestamp> {
    let first = crontab.next_after(before(from), zone, policy);
    let ticks = std::iter::successors(first, |at| crontab.next_after(*at, zone, policy));
    ticks.take_while(|at| *at <= until).collect()
}

/// Checks the policies around one transition.
fn check(zone: &TimeZone, change: Timestamp, line: &str) {
    let text = CrontabText::from_line(line).unwrap();
    let crontab = Crontab::parse(&text).unwrap();
    // The grid of minutes is of local time, whose offset has seconds in few places; none after
    // 2006.
    let hours = SignedDuration::from_hours(4);
    let (from, until) = (change - hours, change + hours);
    for policy in POLICIES {
        let found = found(&crontab, zone, policy, from, until);
        let name = zone.iana_name().unwrap_or("?");
        if policy == Dst::Celery {
            // The golden tables hold what Celery does in a gap; all else is as without a change.
            let skip = expected(&crontab, zone, Dst::Skip, (from, change, until));
            let more: Vec<_> = found.difference(&skip).collect();
            assert!(more.len() <= 1, "{name} {change} {line}: {more:?}");
            let is_gap = zone.to_offset(change) > zone.to_offset(before(change));
            assert!(more.is_empty() || is_gap, "{name} {change} {line}");
            let lost = skip.difference(&found).count();
            assert!(lost == 0 || is_gap, "{name} {change} {line}");
            continue;
        }
        let expected = expected(&crontab, zone, policy, (from, change, until));
        assert_eq!(found, expected, "{policy:?} in {name} at {change}: {line}");
    }
}

const LINES: [&str; 4] = ["*/30 * * * *", "30 2 * * *", "0,15,45 0-3 * * *", "59 */2 * * *"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_policies_hold_at_a_transition_of_any_zone(
        zone in prop::sample::select(every_zone()), pick: prop::sample::Index,
        minute in 0u8..60, hour in 0u8..24,
    ) {
        let transitions = transitions(&zone);
        if !transitions.is_empty() {
            let change = transitions[pick.index(transitions.len())];
            for line in LINES {
                check(&zone, change, line);
            }
            check(&zone, change, &format!("{minute} {hour} * * *"));
            check(&zone, change, &format!("{minute} * * * *"));
        }
    }
}

#[test]
fn the_policies_hold_at_every_transition_of_twenty_years() {
    let mut seen = BTreeSet::new();
    let mut checked = 0;
    for zone in every_zone() {
        for change in transitions(&zone) {
            let local = (change, zone.to_offset(before(change)), zone.to_offset(change));
            // Many names are links to one zone.
            if seen.insert(format!("{local:?}")) {
                LINES.iter().for_each(|line| check(&zone, change, line));
                checked += 1;
            }
        }
    }
    println!("{checked} different transitions of 2006 to 2026");
    assert!(checked > 500, "{checked}");
}

#[test]
fn each_policy_by_example() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let check = |line: &str, after: &str, policy: Dst, expect: &[&str]| {
        let crontab = Crontab::parse(&CrontabText::from_line(line).unwrap()).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        for expect in expect {
            at = crontab.next_after(at, &zone, policy).unwrap();
            assert_eq!(
                at.to_zoned_datetime(zone.clone()).strftime("%dT%H:%M%:z").to_string(),
                *expect,
                "{policy:?}"
            );
        }
    };
    // 2026-03-29, 02:00 to 03:00 does not exist.
    let spring = "2026-03-28T23:00:00Z";
    check("30 2 * * *", spring, Dst::Celery, &["29T03:30+02:00", "30T02:30+02:00"]);
    check("30 2 * * *", spring, Dst::Skip, &["30T02:30+02:00"]);
    check("30 2 * * *", spring, Dst::Once, &["29T03:00+02:00", "30T02:30+02:00"]);
    check("30 2 * * *", spring, Dst::Both, &["30T02:30+02:00"]);
    check("*/20 2 * * *", spring, Dst::Once, &["29T03:00+02:00", "30T02:00+02:00"]);
    // 2026-10-25, 02:00 to 03:00 exists twice.
    let autumn = "2026-10-24T23:45:00Z";
    for once in [Dst::Celery, Dst::Skip, Dst::Once] {
        check(
            "*/30 * * * *",
            autumn,
            once,
            &["25T02:00+02:00", "25T02:30+02:00", "25T03:00+01:00"],
        );
    }
    check(
        "*/30 * * * *",
        autumn,
        Dst::Both,
        &["25T02:00+02:00", "25T02:30+02:00", "25T02:00+01:00", "25T02:30+01:00", "25T03:00+01:00"],
    );
}

#[test]
fn seconds_are_kept_across_a_change() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let crontab = Crontab::parse(&CrontabText::from_line("*/20 59 1 * * *").unwrap()).unwrap();
    let from: Timestamp = "2026-11-01T05:58:00Z".parse().unwrap();
    let until: Timestamp = "2026-11-01T08:00:00Z".parse().unwrap();
    assert_eq!(found(&crontab, &zone, Dst::Celery, from, until).len(), 3);
    assert_eq!(found(&crontab, &zone, Dst::Both, from, until).len(), 6);
}
