//! All schedules there are: the file's, the live ones in Redis, and those of Python's RedBeat.
//!
//! A name belongs to one owner: the file goes before live ones, live ones before RedBeat's. What
//! cannot be used is told and stops no other. The file's entries are edited in the file, RedBeat's
//! in Python; a pause holds for all three.

mod overlap;
mod redbeat;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use rhubarb_schedule::{BeatConfig, Schedule, ScheduleConfig, check_name};

pub use self::{
    overlap::unfinished,
    redbeat::{RedBeat, RedBeatEntry},
};

use crate::{
    CallOptions, Client, Error, Publish, config::CeleryConfig, error::redis, hash, keys::Keys,
    pauses, queue_name, script, tick::Record,
};

/// The most live schedules, and the most pauses.
const MOST: usize = 20_000;
/// The longest note of a pause, characters.
const LONGEST_NOTE: usize = 500;

/// Who an entry belongs to, and so where it is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The configuration file.
    File,
    /// Redis, by `rhubarb schedules add`.
    Live,
    /// Python's RedBeat.
    RedBeat,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Live => "live",
            Self::RedBeat => "redbeat",
        })
    }
}

/// A schedule's pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulePause {
    /// Since when.
    pub since: Timestamp,
    /// Why, in the words of whoever paused it; may be empty.
    pub note: String,
}

/// One schedule, whoever owns it.
#[derive(Clone, Debug)]
pub struct KnownSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// The queue that its tasks go to.
    pub queue: String,
    /// Who owns it.
    pub owner: Owner,
    /// Whether it is paused.
    pub pause: Option<SchedulePause>,
    /// When it was added, of a live one: what is kept of an earlier one of its name is not its.
    pub added: Option<Timestamp>,
    /// Ticks up to this moment are not ours to publish: it was added or resumed then, or Python
    /// published it last.
    pub floor: Option<Timestamp>,
}

impl KnownSchedule {
    /// Returns the task that the schedule publishes, without what hangs on the tick: its id and
    /// when it expires.
    pub fn publish(&self) -> Publish {
        let config = &self.schedule.config;
        let options = config.options.as_deref().cloned().unwrap_or_default();
        let queue = Some(self.queue.clone());
        Publish {
            args: config.args.clone(),
            kwargs: config.kwargs.clone(),
            options: CallOptions { queue, priority: config.priority, ..options },
            ..Publish::new(&config.task)
        }
    }

    /// Tells whether it publishes at all at present.
    pub fn is_on(&self) -> bool {
        self.schedule.config.enabled && self.pause.is_none()
    }

    /// Returns the record that the schedule goes on from, by what is kept of it.
    ///
    /// One that was never seen starts from now, or from its floor; so does one whose timetable has
    /// become another. Its numbers of runs and missed ticks stay.
    pub fn record(&self, kept: Option<Record>, now: Timestamp) -> Record {
        let digest = self.schedule.digest();
        let seconds = |at: Timestamp| at.as_second();
        let kept = kept
            .filter(|kept| self.added.is_none_or(|added| seconds(added) <= seconds(kept.anchor)));
        let Some(mut record) = kept else {
            let start = self.floor.unwrap_or(now);
            return Record { digest, ..Record::new(start) };
        };
        let is_other = !record.digest.is_empty() && record.digest != digest;
        if is_other && digest != "off" {
            let fresh = Record::new(now);
            record.tick = record.tick.max(now);
            record.anchor = fresh.anchor;
        }
        record.tick = record.tick.max(self.floor.unwrap_or(record.tick));
        record.digest = digest;
        record
    }
}

/// An entry that cannot be used, or is hidden by another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The entry's name.
    pub name: String,
    /// Who owns it.
    pub owner: Owner,
    /// What is wrong, with its place and an example of the right form.
    pub problem: String,
}

/// Every schedule by its name, and what cannot be used.
#[derive(Clone, Debug, Default)]
pub struct All {
    /// The schedules.
    pub known: BTreeMap<String, Box<KnownSchedule>>,
    /// The rest.
    pub problems: Vec<Problem>,
    /// The names of entries that are there and not ours to publish at present: a beat of Python's
    /// leads, or they cannot be used. What is kept of them stays.
    pub left: BTreeSet<String>,
    /// Whether the live entries could not be read: that one is not among the known does not say
    /// that it was removed.
    pub live_unread: bool,
    /// Whether a beat of Python's RedBeat leads, and so publishes RedBeat's entries.
    pub redbeat_leads: bool,
}

/// What the key that counts the edits holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// How many there were.
    Edits(u64),
    /// Something else: in words. Nothing can be edited until it is gone.
    Broken(String),
}

impl Default for Version {
    fn default() -> Self {
        Self::Edits(0)
    }
}

/// What is kept in Redis of live schedules and pauses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Counts the edits.
    pub version: Version,
    /// What is wrong with the keys themselves, by key.
    broken: BTreeMap<Part, String>,
    /// Name to when it was added, and its JSON.
    entries: BTreeMap<String, (Timestamp, String)>,
    /// Name to pause, or to when it was resumed.
    pauses: HashMap<String, Result<SchedulePause, Timestamp>>,
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It was done.
    Done,
    /// It was paused already: its note is the new one.
    Again,
    /// There is one of that name already, or none, or it is not paused.
    Nothing,
}

/// The schedules in Redis.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
}

impl Schedules {
    /// Prepares; nothing is sent.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Returns the number of edits so far: while it is the same, so is [`Schedules::live`].
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn version(&self) -> Result<Version, Error> {
        let version: Result<Option<Vec<u8>>, Error> = self
            .client
            .queue()
            .query(::redis::cmd("GET").arg(self.client.keys().schedules_version()))
            .await
            .map_err(redis("read the schedules' version"));
        let text = match readable(version)? {
            Ok(text) => text.unwrap_or_else(|| b"0".to_vec()),
            Err(refusal) => return Ok(Version::Broken(refusal)),
        };
        let text = String::from_utf8_lossy(&text);
        Ok(match text.parse() {
            Ok(edits) => Version::Edits(edits),
            Err(_) => Version::Broken(format!("{:?} is no number", shortened(&text))),
        })
    }

    /// Reads all live schedules and pauses.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn live(&self) -> Result<Live, Error> {
        // The version first: an edit after it is seen as a new version by the next look.
        let mut live = Live { version: self.version().await?, ..Live::default() };
        if let Version::Broken(what) = &live.version {
            live.broken.insert(Part::Version, what.clone());
        }
        let (redis_, keys) = (self.client.queue(), self.client.keys());
        let what = "read the live schedules";
        let entries = hash::scan(redis_, &keys.schedules(), what, |name, text| {
            let (added, json) = text.split_once(' ').unwrap_or(("", &text));
            let added = added.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let entry = match added {
                Some(added) => (added, json.to_owned()),
                // Written by another hand: the whole of it is tried as JSON.
                None => (Timestamp::UNIX_EPOCH, text),
            };
            live.entries.insert(name, entry);
        })
        .await;
        let pauses = hash::scan(redis_, &keys.schedule_pauses(), what, |name, text| {
            live.pauses.extend(pause(&text).map(|pause| (name, pause)));
        })
        .await;
        for (part, read) in [(Part::Entries, entries), (Part::Pauses, pauses)] {
            live.broken.extend(readable(read)?.err().map(|refusal| (part, refusal)));
        }
        Ok(live)
    }

    /// Adds a live schedule; [`Edited::Nothing`] when there is one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a name or a queue that cannot be or when there are too many,
    /// [`Error::Redis`].
    pub async fn add(&self, name: &str, entry: &ScheduleConfig) -> Result<Edited, Error> {
        self.check(entry)?;
        self.edit("add", name, &entry.to_json().to_string()).await
    }

    /// Adds or replaces a live schedule; its history stays.
    ///
    /// # Errors
    ///
    /// As for [`Schedules::add`].
    pub async fn set(&self, name: &str, entry: &ScheduleConfig) -> Result<Edited, Error> {
        self.check(entry)?;
        self.edit("set", name, &entry.to_json().to_string()).await
    }

    /// Removes a live schedule and its pause; [`Edited::Nothing`] when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn remove(&self, name: &str) -> Result<Edited, Error> {
        self.edit("remove", name, "").await
    }

    /// Pauses a schedule, whoever owns it. Ticks that pass meanwhile are not its. Pausing a paused
    /// one changes its note: [`Edited::Again`].
    ///
    /// # Errors
    ///
    /// As for [`Schedules::add`], and [`Error::Refused`] for a note that is too long.
    pub async fn pause(&self, name: &str, note: &str) -> Result<Edited, Error> {
        if note.chars().count() > LONGEST_NOTE {
            return Err(Error::Refused(format!("a note has at most {LONGEST_NOTE} characters")));
        }
        let printable = note.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.edit("pause", name, &printable.collect::<String>()).await
    }

    /// Ends a pause; [`Edited::Nothing`] when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn resume(&self, name: &str) -> Result<Edited, Error> {
        self.edit("resume", name, "").await
    }

    fn check(&self, entry: &ScheduleConfig) -> Result<(), Error> {
        entry.queue.iter().try_for_each(|queue| pauses::check(&self.client, queue))
    }

    async fn edit(&self, op: &str, name: &str, value: &str) -> Result<Edited, Error> {
        check_name(name).map_err(|expected| Error::Refused(format!("{name:?}: {expected}")))?;
        let keys = Part::ALL.map(|part| part.key(self.client.keys()));
        let refused = |part: Part, what| Err(Error::Refused(part.broken(self.client.keys(), what)));
        let args = [op, name, value].map(|arg| arg.as_bytes().to_vec());
        let args = [args.as_slice(), &[MOST.to_string().into_bytes()]].concat();
        let answer: i64 = self
            .client
            .queue()
            .eval(&script::SCHEDULE_EDIT, &keys, &args, &[])
            .await
            .map_err(redis(format!("{op} the schedule `{name}`")))?;
        match answer {
            1 => Ok(Edited::Done),
            2 => Ok(Edited::Again),
            0 => Ok(Edited::Nothing),
            -2 => refused(Part::Entries, "no hash"),
            -3 => refused(Part::Pauses, "no hash"),
            -4 => refused(Part::Version, "no number"),
            _ => Err(Error::Refused(format!("there are {MOST} of them already"))),
        }
    }
}

/// The three keys of the schedules, in the script's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Entries,
    Pauses,
    Version,
}

impl Part {
    const ALL: [Self; 3] = [Self::Entries, Self::Pauses, Self::Version];

    fn key(self, keys: &Keys) -> String {
        match self {
            Self::Entries => keys.schedules(),
            Self::Pauses => keys.schedule_pauses(),
            Self::Version => keys.schedules_version(),
        }
    }

    /// Tells that the key holds what does not belong there, and what to do about it.
    fn broken(self, keys: &Keys, what: &str) -> String {
        let key = self.key(keys);
        let mend = match self {
            Self::Version => format!("delete it: `redis-cli DEL {key}` (it counts edits)"),
            _ => format!("move it away: `redis-cli RENAME {key} {key}:old`"),
        };
        format!(
            "the key `{key}` is not what is kept there ({what}); no schedule can be edited until you {mend}"
        )
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Returns what was read, or inside why Redis does not read a key of another type.
fn readable<T>(read: Result<T, Error>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error) => error.wrong_type().map(|reason| Err(reason.to_owned())).ok_or(error),
    }
}

/// Reads `paused <ms> <note>` or `resumed <ms> `.
fn pause(text: &str) -> Option<Result<SchedulePause, Timestamp>> {
    let (what, rest) = text.split_once(' ')?;
    let (since, note) = rest.split_once(' ').unwrap_or((rest, ""));
    let since = Timestamp::from_millisecond(since.parse().ok()?).ok()?;
    match what {
        "paused" => Some(Ok(SchedulePause { since, note: note.to_owned() })),
        "resumed" => Some(Err(since)),
        _ => None,
    }
}

/// What a configuration says of schedules.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'c> {
    /// `[schedules]`.
    pub schedules: &'c BTreeMap<String, Arc<ScheduleConfig>>,
    /// The time zone of those that name none, and whether RedBeat's are obeyed.
    pub beat: &'c BeatConfig,
    /// Where their tasks go.
    pub celery: &'c CeleryConfig,
}

impl All {
    /// Reads the schedules of all owners.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn read(client: &Client, config: Configured<'_>) -> Result<Self, Error> {
        let live = Schedules::new(client).live().await?;
        let redbeat = match RedBeat::obeyed(config.beat, client.celery()) {
            Some(prefix) => RedBeat::read(client.queue(), prefix, None).await?.unwrap_or_default(),
            None => RedBeat::default(),
        };
        Ok(Self::of(config, live, &redbeat))
    }

    /// Puts the schedules of all owners together.
    pub fn of(config: Configured<'_>, live: Live, redbeat: &RedBeat) -> Self {
        let live_unread = live.broken.contains_key(&Part::Entries);
        let mut all = Self { live_unread, ..Self::default() };
        let keys = Keys::new(config.celery);
        for (part, what) in &live.broken {
            all.wrong(&part.key(&keys), Owner::Live, part.broken(&keys, what));
        }
        for (name, entry) in config.schedules {
            all.take(config, name, entry, Owner::File, None);
        }
        for (name, (added, json)) in live.entries {
            match ScheduleConfig::from_json(&name, &json) {
                Ok(entry) => {
                    all.take(config, &name, &Arc::new(entry), Owner::Live, Some(added));
                }
                Err(problems) => all.wrong(&name, Owner::Live, problems.join("; ")),
            }
        }
        if redbeat.locked {
            all.redbeat_leads = !redbeat.entries.is_empty();
            all.left.extend(redbeat.entries.iter().map(|entry| entry.name.clone()));
        }
        for found in redbeat.ours() {
            match &found.entry {
                Ok(entry) => {
                    let entry = Arc::new(entry.clone());
                    all.take(config, &found.name, &entry, Owner::RedBeat, found.last_run);
                }
                Err(problem) => all.wrong(&found.name, Owner::RedBeat, problem.clone()),
            }
        }
        for (name, known) in &mut all.known {
            match live.pauses.get(name) {
                Some(Ok(pause)) => known.pause = Some(pause.clone()),
                Some(Err(resumed)) => known.floor = known.floor.max(Some(*resumed)),
                None => {}
            }
        }
        all
    }

    fn take(
        &mut self,
        config: Configured<'_>,
        name: &str,
        entry: &Arc<ScheduleConfig>,
        owner: Owner,
        floor: Option<Timestamp>,
    ) {
        if let Some(other) = self.known.get(name) {
            let problem = format!(
                "the {} has a schedule of this name, which goes before; give one of them another name",
                other.owner
            );
            return self.wrong(name, owner, problem);
        }
        match Schedule::compile(name, Arc::clone(entry), &config.beat.timezone) {
            Ok(schedule) => {
                let routed = || config.celery.queue_for(&entry.task).to_owned();
                let queue = entry.queue.clone().unwrap_or_else(routed);
                if let Err(problem) = queue_name::check(&queue, config.celery) {
                    return self.wrong(name, owner, problem);
                }
                let added = floor.filter(|_| owner == Owner::Live);
                let known = KnownSchedule { schedule, queue, owner, pause: None, added, floor };
                self.known.insert(name.to_owned(), Box::new(known));
            }
            Err(error) => self.wrong(name, owner, error.to_string()),
        }
    }

    /// Takes out the schedules of a queue that nothing can be kept with: they are left as they are.
    /// Returns how many.
    pub fn leave(&mut self, queue: &str) -> usize {
        let left = self.known.extract_if(.., |_, known| known.queue == queue);
        let names: Vec<String> = left.map(|(name, _)| name).collect();
        let n = names.len();
        self.left.extend(names);
        n
    }

    fn wrong(&mut self, name: &str, owner: Owner, problem: String) {
        self.left.insert(name.to_owned());
        self.problems.push(Problem { name: name.to_owned(), owner, problem });
    }
}

#[cfg(test)]
mod tests;
