use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn text(fields: &[(&str, &str)]) -> CrontabText {
    let mut text = CrontabText::default();
    for (field, value) in fields {
        let value = CrontabText::field(value);
        match *field {
            "minute" => text.minute = value,
            "hour" => text.hour = value,
            "day_of_week" => text.day_of_week = value,
            "day_of_month" => text.day_of_month = value,
            "month_of_year" => text.month_of_year = value,
            other => panic!("no field {other}"),
        }
    }
    text
}

fn members(crontab: &Crontab, field: &str) -> Vec<u64> {
    let members = match field {
        "minute" => crontab.minute,
        "hour" => crontab.hour,
        "day_of_week" => crontab.day_of_week,
        "day_of_month" => crontab.day_of_month,
        "month_of_year" => crontab.month_of_year,
        other => panic!("no field {other}"),
    };
    (0..64).filter(|n| members.has(*n)).map(u64::from).collect()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/celery_5_7_crontab.json")).unwrap()
}

#[test]
fn fields_hold_what_celery_says() {
    let golden = golden();
    let mut checked = 0;
    for case in golden["fields"].as_array().unwrap() {
        // Rows with `python_value` are Python ints and sets, which have no form as text.
        let Some(expr) = case.get("expr").and_then(Value::as_str) else { continue };
        let field = case["field"].as_str().unwrap();
        let ours = Crontab::parse(&text(&[(field, expr)]));
        match case["result"].as_array() {
            Some(expected) => {
                let expected: Vec<u64> = expected.iter().map(|n| n.as_u64().unwrap()).collect();
                assert_eq!(members(&ours.unwrap(), field), expected, "{field} {expr:?}");
            }
            None => assert!(ours.is_err(), "{field} {expr:?} is an error in Celery"),
        }
        checked += 1;
    }
    assert_eq!(checked, 71 - 6);
}

#[test]
fn next_times_are_celerys_across_clock_changes() {
    for case in golden()["next"].as_array().unwrap() {
        let fields: Vec<(&str, &str)> = case["crontab"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
            .collect();
        let fires: Vec<&str> =
            case["fires"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        let crontab = match Crontab::parse(&text(&fields)) {
            Ok(crontab) => crontab,
            Err(error) => {
                assert!(fires[0].starts_with("ValueError"), "{error} for {case}");
                continue;
            }
        };
        let zone = TimeZone::get(case["tz"].as_str().unwrap()).unwrap();
        let after: DateTime = case["after"].as_str().unwrap().parse().unwrap();
        let mut at = zone.to_timestamp(after).unwrap();
        for fire in fires {
            at = crontab.next_after(at, &zone, Dst::Celery).unwrap();
            assert_eq!(at, fire.parse::<Timestamp>().unwrap(), "{case}");
        }
    }
}

#[test]
fn an_error_names_the_field_the_part_and_the_right_form() {
    let error = Crontab::parse(&text(&[("hour", "*/4,24")])).unwrap_err().to_string();
    assert_eq!(
        error,
        "hour `24`: 24 is not in 0 to 23; it takes 0 to 23, for example \"*/4\", \"8-18\" or \"22-3\""
    );
    let error = Crontab::parse(&text(&[("day_of_month", "30"), ("month_of_year", "feb")]));
    assert!(error.unwrap_err().to_string().contains("never occurs"));
}

/// The crontabs of public projects, with Celery's own answers. Left out where the recordings are
/// not at hand.
#[test]
fn crontabs_of_public_projects_expand_as_in_celery() {
    let Some(rows) = crate::recorded::read("crontab/crontab_args.tsv") else { return };
    let mut checked = 0;
    for row in rows.lines().skip(1) {
        let columns: Vec<String> = row.split('\t').map(unquote).collect();
        let Some(fields) = plain_arguments(&columns[0]) else { continue };
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let ours = Crontab::parse(&text(&fields));
        checked += 1;
        if columns[2] != "ok" {
            assert!(ours.is_err(), "{row}");
            continue;
        }
        let crontab = ours.unwrap();
        let names = ["minute", "hour", "day_of_week", "day_of_month", "month_of_year"];
        for (name, expected) in names.iter().zip(&columns[3..8]) {
            let expected: Vec<u64> = expected.split(',').map(|n| n.parse().unwrap()).collect();
            assert_eq!(members(&crontab, name), expected, "{name} of {row}");
        }
        let mut at: Timestamp = "2026-02-27T23:50:30Z".parse().unwrap();
        for fire in columns[8].split_whitespace() {
            at = crontab.next_after(at, &TimeZone::UTC, Dst::Celery).unwrap();
            assert_eq!(at, format!("{fire}:00Z").parse::<Timestamp>().unwrap(), "{row}");
        }
    }
    assert!(checked > 60, "only {checked} rows are in plain form");
}

fn unquote(column: &str) -> String {
    let inner = column.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| column.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// Reads `minute="0", hour=4`; absent when a value is not a text or number, or a name is not one of
/// the five.
fn plain_arguments(text: &str) -> Option<Vec<(String, String)>> {
    let names = ["minute", "hour", "day_of_week", "day_of_month", "month_of_year"];
    let mut rest = text;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let name = name.trim_matches([',', ' ']);
        names.contains(&name).then_some(())?;
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote)?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        (quote.is_some() || digits).then_some(())?;
        found.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    Some(found)
}

/// A field as people write them, and as they should not.
fn field() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("*".to_owned()),
        (0u8..70).prop_map(|n| n.to_string()),
        (0u8..70, 0u8..70).prop_map(|(a, b)| format!("{a}-{b}")),
        (0u8..70).prop_map(|n| format!("*/{n}")),
        (0u8..70, 0u8..70, 0u8..70).prop_map(|(a, b, n)| format!("{a}-{b}/{n}")),
        "[a-z]{3,9}",
        Just("4294967296".to_owned()),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(","))
}

proptest! {
    /// Whatever is taken has a next time, found soon; leap days and far weekdays are the long
    /// searches.
    #[test]
    fn whatever_is_taken_has_a_next_time(
        (minute, hour) in (field(), field()),
        (weekday, day, month) in (field(), field(), field()),
        seconds in -30_000_000_000i64..200_000_000_000,
    ) {
        let fields = [("minute", minute), ("hour", hour), ("day_of_week", weekday), ("day_of_month", day),
            ("month_of_year", month)];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Ok(crontab) = Crontab::parse(&text(&fields)) {
            let after = Timestamp::from_second(seconds).unwrap();
            let begun = std::time::Instant::now();
            let next = crontab.next_after(after, &TimeZone::UTC, Dst::Celery);
            prop_assert!(next.is_some_and(|next| next > after), "{next:?}");
            prop_assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(a in ".{0,12}", b in "[0-9a-z*/,-]{0,12}") {
        let _ = Crontab::parse(&text(&[("minute", &a), ("day_of_week", &b), ("hour", &b)]));
    }

    #[test]
    fn the_next_time_is_later_and_of_the_crontab(
        seconds in -2_000_000_000i64..4_000_000_000, minute in 0u8..60, hour in 0u8..24, day in 1u8..32,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
            "Pacific/Apia", "Africa/Casablanca"]),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let after = Timestamp::from_second(seconds).unwrap();
        let fields = [("minute", minute.to_string()), ("hour", hour.to_string()), ("day_of_month", day.to_string())];
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let next = Crontab::parse(&text(&fields)).unwrap().next_after(after, &zone, Dst::Celery).unwrap();
        prop_assert!(next > after);
        let local = zone.to_datetime(next);
        let named = local.minute() == minute as i8 && local.hour() == hour as i8 && local.day() == day as i8;
        let after_a_gap = zone.to_datetime(next - jiff::SignedDuration::from_hours(25)).day() != local.day();
        prop_assert!(named || after_a_gap, "{local} for {day}. {hour}:{minute}");
    }
}
