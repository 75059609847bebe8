use super::*;

fn entry(rest: &str) -> Result<ScheduleConfig, String> {
    read(&format!("task = \"t\"\n{rest}"))
}

fn read(text: &str) -> Result<ScheduleConfig, String> {
    let table = text.parse::<toml::Table>().map_err(|error| error.message().to_owned())?.into();
    let mut problems = Vec::new();
    let reader = Reader::new("schedules.s".to_owned(), &table, &mut problems).unwrap();
    let entry = schedule(reader, None);
    if problems.is_empty() { Ok(Arc::unwrap_or_clone(entry)) } else { Err(problems.join("\n")) }
}

const EVERYTHING: &str = r#"
cron = "*/10 30 9 * * mon-fri"
timezone = "Europe/Lisbon"
dst = "once"
args = ["rust developer", 1.5]
kwargs = { location = "Lisbon" }
options = { ignore_result = true, time_limit = "5m", soft_time_limit = 200, shadow = "x", headers = { a = 1 } }
queue = "scrapes"
priority = 3
expires = "30m"
enabled = false
start_at = 2026-11-24T09:00:00
end_at = "2027-01-01T00:00:00Z"
max_runs = 100
jitter = "5s"
catch_up = { max = 10, window = "1h" }
misfire_grace = "10m"
overlap = "queue_one"
alert_after = "15m"
"#;

#[test]
fn an_entry_has_everything_and_json_keeps_it() {
    let entry = entry(EVERYTHING).unwrap();
    assert_eq!(entry.overlap, Overlap::QueueOne);
    assert_eq!(entry.dst, Dst::Once);
    assert_eq!(entry.catch_up, CatchUp::All { max: 10, window: Duration::from_secs(3_600) });
    assert_eq!(entry.options.as_ref().unwrap().time_limit, Some(Duration::from_secs(300)));
    assert_eq!(entry.start_at.unwrap().to_string(), "2026-11-24T09:00:00");
    let json = entry.to_json().to_string();
    assert_eq!(ScheduleConfig::from_json("s", &json).unwrap(), entry, "{json}");
}

#[test]
fn each_way_to_say_when_survives_json() {
    for when in [
        "every = 30",
        "every = \"1h30m\"\nrelative = true",
        "at = \"2026-12-24T18:00:00\"",
        "at = 2026-12-24T18:00:00Z",
        "cron = \"@hourly\"",
        "crontab = { minute = 0, hour = \"8-18, 22\" }",
        "every = 1.5",
    ] {
        let entry = entry(when).unwrap();
        let json = entry.to_json().to_string();
        let again = ScheduleConfig::from_json("s", &json).unwrap();
        let compile =
            |entry: &ScheduleConfig| Schedule::compile("s", entry.clone(), "UTC").unwrap().words();
        assert_eq!(compile(&again), compile(&entry), "{json}");
    }
}

#[test]
fn what_json_alone_can_say_is_kept() {
    let json = r#"{"task": "t", "every": 5, "args": [null, {"a": null}], "kwargs": {"b": [null]}, "queue": null}"#;
    let entry = ScheduleConfig::from_json("s", json).unwrap();
    assert_eq!(serde_json::to_string(&entry.args).unwrap(), r#"[null,{"a":null}]"#);
    assert_eq!(entry.to_json()["kwargs"].to_string(), r#"{"b":[null]}"#);
    assert_eq!(entry.queue, None);
}

#[test]
fn bad_entries_are_refused_with_the_place_and_an_example() {
    for (rest, expect) in [
        (
            "crontab = { minute = \"5/20\" }",
            "schedules.s.crontab.minute: minute `5/20`: a step needs",
        ),
        ("crontab = { day_of_week = \"7\" }", "for example \"mon-fri\""),
        (
            "cron = \"0 0 31 4 *\"",
            "schedules.s.cron: day_of_month `31` never occurs in month_of_year `4`",
        ),
        ("cron = \"0 0 * * 7\"", "schedules.s.cron: day_of_week `7`"),
        ("cron = \"* * * *\"", "for example \"30 9 * * mon-fri\""),
        (
            "every = 5\ntimezone = \"Mars/Base\"",
            "schedules.s.timezone: no such time zone; an IANA name such as",
        ),
        ("every = 0", "schedules.s.every: 1 s or more, at most ten years, for example 30"),
        ("every = \"11 years\"", "schedules.s.every"),
        ("every = 4e9", "at most ten years"),
        ("every = 5\ntask = 1", "duplicate key"),
        ("every = 5\nargs = { a = 1 }", "schedules.s.args: a list, args = [1, \"b\"]"),
        ("every = 5\nkwargs = [1]", "schedules.s.kwargs: a table, kwargs = { a = 1 }"),
        (
            "every = 5\ncron = \"@daily\"",
            "schedules.s.every: only one of cron, every is expected: remove the others",
        ),
        ("", "schedules.s.crontab: one of crontab = { minute = \"0\" }, cron ="),
        ("cron = \"@daily\"\nrelative = true", "schedules.s.relative: it goes with `every`"),
        ("at = \"tomorrow\"", "schedules.s.at: a date and time, such as \"2026-12-24T18:00:00\""),
        ("every = 5\ndst = \"twice\"", "schedules.s.dst: one of \"celery\" \"skip\""),
        ("every = 5\noverlap = \"never\"", "schedules.s.overlap: one of \"allow\""),
        (
            "every = 5\ncatch_up = \"some\"",
            "schedules.s.catch_up: \"last\", \"none\", \"all\", or { max = 100",
        ),
        ("every = 5\ncatch_up = { max = 0 }", "schedules.s.catch_up.max: 1 to 10000"),
        (
            "every = 5\ncatch_up = { windw = 1 }",
            "schedules.s.catch_up.windw: no such setting; known here: max, window",
        ),
        ("every = 5\njitter = 5", "schedules.s.jitter: `jitter` has to be less than 5 s"),
        ("every = 5\nmax_runs = 0", "schedules.s.max_runs: 1 or more"),
        ("every = 5\nmisfire_grace = 0", "schedules.s.misfire_grace: 1 s or more"),
        (
            "every = 5\nstart_at = 2026-01-02T00:00:00\nend_at = 2026-01-01T00:00:00",
            "schedules.s.end_at: `end_at` is not after",
        ),
        (
            "every = 5\noptions = { countdown = 3 }",
            "schedules.s.options.countdown: no such setting; known here: headers",
        ),
    ] {
        let problems = entry(rest).expect_err(rest);
        assert!(problems.contains(expect), "{rest}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{rest}: {problems}");
    }
    let problem = read("task = \"a\\nb\"\nevery = 5").unwrap_err();
    assert!(
        problem.contains("schedules.s.task: a name of at most 512 characters without line breaks")
    );
}

#[test]
fn json_that_is_no_entry_is_refused_with_the_place() {
    for (json, expect) in [
        ("{", "schedules.s: it is no JSON"),
        ("[]", "schedules.s: a JSON object such as"),
        (r#"{"task": "t", "every": 5, "args": "x"}"#, "schedules.s.args: a list"),
        (r#"{"task": "t", "every": 5, "kwargs": [1]}"#, "schedules.s.kwargs: an object"),
        (r#"{"task": "t", "every": 1e300}"#, "schedules.s.every"),
        (r#"{"every": 5}"#, "schedules.s.task: it is missing"),
    ] {
        let problems = ScheduleConfig::from_json("s", json).unwrap_err().join("\n");
        assert!(problems.contains(expect), "{json}: {problems}");
    }
    assert!(ScheduleConfig::from_json("", "{}").unwrap_err()[0].contains("1 to 200 printable"));
    let large = format!(r#"{{"task": "{}"}}"#, "x".repeat(300_000));
    assert!(
        ScheduleConfig::from_json("s", &large).unwrap_err()[0].contains("at most 262144 bytes")
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_json_is_never_more_than_problems(
        key in "task|every|at|cron|crontab|args|kwargs|options|catch_up|jitter|start_at|timezone|max_runs|[a-z]{1,5}",
        value in "[0-9]{1,20}|-1|null|true|\"[ -~]{0,20}\"|\\[1\\]|\\{\"max\":1\\}|1e[0-9]{1,3}|\"\\\\u0000\"",
    ) {
        let _ = ScheduleConfig::from_json("s", &format!(r#"{{"task": "t", "every": 5, "{key}": {value}}}"#));
        let _ = ScheduleConfig::from_json("s", &value);
        let _ = ScheduleConfig::from_json("s", &format!(r#"{{"task": "t", "{key}": {value}}}"#));
    }
}
