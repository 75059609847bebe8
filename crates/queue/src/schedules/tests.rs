use super::*;

rhubarb_config::settings! {
    /// A file of schedules alone.
    #[derive(Clone, Debug)]
    struct File {}
    tables {
        /// The schedules.
        schedules: BTreeMap<String, Arc<ScheduleConfig>> = BTreeMap::new();
    }
    fields {
        /// The beat's settings.
        beat: BeatConfig = BeatConfig::default();
        /// Celery's settings.
        celery: CeleryConfig = CeleryConfig::default();
    }
}

impl rhubarb_config::Configuration for File {
    const MANY: &'static str = "schedules";
}

impl File {
    fn of(text: &str) -> Self {
        rhubarb_config::from_toml(text).unwrap()
    }

    fn scheduled(&self) -> Configured<'_> {
        Configured { schedules: &self.schedules, beat: &self.beat, celery: &self.celery }
    }
}

const FILE: &str =
    "[schedules.a]\ntask = \"file\"\nevery = 5\n[schedules.b]\ntask = \"file\"\nevery = 5";

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(s).unwrap()
}

fn live(entries: &[(&str, &str)]) -> Live {
    let entry = |(name, json): &(&str, &str)| ((*name).to_owned(), (at(5), (*json).to_owned()));
    Live { entries: entries.iter().map(entry).collect(), ..Live::default() }
}

#[test]
fn the_file_goes_before_live_entries_and_these_before_redbeats() {
    let live = live(&[
        ("a", r#"{"task": "live", "every": 5}"#),
        ("c", r#"{"task": "live", "every": 5, "queue": "q"}"#),
    ]);
    let of_redbeat = |name: &str| RedBeatEntry {
        name: name.to_owned(),
        entry: ScheduleConfig::from_json(name, r#"{"task": "redbeat", "every": 5}"#)
            .map_err(|problems| problems.join("")),
        last_run: Some(at(3)),
    };
    let entries = ["a", "c", "d"].map(of_redbeat).into();
    let all = All::of(File::of(FILE).scheduled(), live, &RedBeat { entries, ..RedBeat::default() });
    let told: Vec<String> = all
        .known
        .iter()
        .map(|(name, known)| format!("{name} {} {}", known.owner, known.queue))
        .collect();
    assert_eq!(told, ["a file celery", "b file celery", "c live q", "d redbeat celery"]);
    let hidden: Vec<(&str, Owner)> =
        all.problems.iter().map(|problem| (problem.name.as_str(), problem.owner)).collect();
    assert_eq!(hidden, [("a", Owner::Live), ("a", Owner::RedBeat), ("c", Owner::RedBeat)]);
    assert!(all.problems[0].problem.contains("the file has a schedule of this name"));
    assert_eq!((all.known["c"].floor, all.known["c"].added), (Some(at(5)), Some(at(5))));
    assert_eq!((all.known["d"].floor, all.known["d"].added), (Some(at(3)), None));
}

#[test]
fn a_bad_entry_stops_no_other() {
    let live = live(&[
        ("bad", r#"{"task": "t", "cron": "5/20 * * * *"}"#),
        ("worse", "\u{0}"),
        ("zone", r#"{"task": "t", "every": 5, "timezone": "Mars/Base"}"#),
        ("good", r#"{"task": "t", "every": 5}"#),
    ]);
    let all = All::of(File::of(FILE).scheduled(), live, &RedBeat::default());
    assert_eq!(all.known.keys().collect::<Vec<_>>(), ["a", "b", "good"]);
    let problems: Vec<&str> = all.problems.iter().map(|p| p.problem.as_str()).collect();
    assert!(problems[0].contains("schedules.bad.cron: minute `5/20`"), "{problems:?}");
    assert!(problems[1].contains("schedules.worse: it is no JSON"), "{problems:?}");
    assert!(problems[2].contains("schedules.zone.timezone: no such time zone"), "{problems:?}");
}

#[test]
fn pauses_hold_for_every_owner_and_a_resumed_one_starts_from_then() {
    let mut live = live(&[("c", r#"{"task": "live", "every": 5}"#)]);
    live.pauses.extend([
        ("a".to_owned(), pause("paused 7000 a deploy").unwrap()),
        ("b".to_owned(), pause("resumed 9000 ").unwrap()),
        ("c".to_owned(), pause("resumed 4000 ").unwrap()),
        ("gone".to_owned(), pause("paused 1").unwrap()),
    ]);
    let all = All::of(File::of(FILE).scheduled(), live, &RedBeat::default());
    let paused = SchedulePause { since: at(7), note: "a deploy".to_owned() };
    assert_eq!(all.known["a"].pause, Some(paused));
    assert_eq!((&all.known["b"].pause, all.known["b"].floor), (&None, Some(at(9))));
    assert_eq!(all.known["c"].floor, Some(at(5)));
    for bad in ["", "paused", "paused x y", "stopped 1 y"] {
        assert_eq!(pause(bad), None, "{bad}");
    }
}

fn known(entry: &str) -> KnownSchedule {
    let all = All::of(
        File::of(&format!("[schedules.s]\ntask = \"t\"\n{entry}")).scheduled(),
        Live::default(),
        &RedBeat::default(),
    );
    all.known["s"].as_ref().clone()
}

#[test]
fn a_schedule_goes_on_from_its_record_unless_its_timetable_is_another() {
    let now = at(1_000);
    let new = known("every = 5").record(None, now);
    assert_eq!((new.tick, new.anchor), (now, now));
    let kept = Record { runs: 7, missed: 2, tick: at(900), anchor: at(100), ..new };

    let same = known("every = 5\npriority = 3\nargs = [1]").record(Some(kept.clone()), now);
    assert_eq!(same, kept);
    let other = known("every = 6").record(Some(kept.clone()), now);
    assert_eq!((other.tick, other.anchor, other.runs, other.missed), (now, now, 7, 2));
    let off = known("every = 5\nenabled = false").record(Some(kept.clone()), now);
    assert_eq!((off.tick, off.digest.as_str()), (at(900), "off"));
    let on_again = known("every = 5").record(Some(off), now);
    assert_eq!(on_again.tick, now, "what passed while it was off is not its");
    // As written before there were digests.
    let old = Record { digest: String::new(), ..kept.clone() };
    assert_eq!(known("every = 6").record(Some(old), now).tick, at(900));
}

#[test]
fn a_schedule_starts_from_its_floor_and_one_added_anew_has_no_history() {
    let now = at(1_000);
    let resumed = KnownSchedule { floor: Some(at(950)), ..known("every = 5") };
    let kept = Record { runs: 7, tick: at(900), anchor: at(100), ..resumed.record(None, now) };
    let after = resumed.record(Some(kept.clone()), now);
    assert_eq!((after.tick, after.anchor, after.runs), (at(950), at(100), 7));
    let added = KnownSchedule { added: Some(at(950)), ..resumed.clone() };
    let anew = added.record(Some(kept), now);
    assert_eq!((anew.tick, anew.anchor, anew.runs), (at(950), at(950), 0));
    assert_eq!(added.record(Some(anew.clone()), now), anew);
}
