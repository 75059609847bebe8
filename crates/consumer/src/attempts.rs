//! What happened to a message before: its retries, in a header of its own, and the workers that
//! died with it, in a hash of its queue. Tasks that never fail cost nothing.

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::letter::Attempt;
use rhubarb_wire::Headers;
use serde_json::{Value, json};

/// The header that tells of earlier attempts: `[[at, worker, error], …]`, the oldest first. Celery
/// keeps it when its own workers retry (a custom header is passed on), and shows it as
/// `task.request.rhubarb_attempts`.
const HEADER: &str = "rhubarb_attempts";
/// How many attempts the header keeps, the last ones.
const MAX_ATTEMPTS: usize = 20;
/// How many characters it keeps of a worker's name or an error.
const MAX_TEXT: usize = 200;

/// Reads the attempts that a message tells of; what is none is left out.
pub(crate) fn attempts(headers: &Headers) -> Vec<Attempt> {
    let Some(Value::Array(entries)) = headers.other.get(HEADER) else { return Vec::new() };
    let text = |value: &Value| value.as_str().map(short);
    let read = |entry: &Value| match entry.as_array()?.as_slice() {
        [at, worker, error] => {
            Some(Attempt { at: text(at)?, worker: text(worker)?, error: text(error)? })
        }
        _ => None,
    };
    let skipped = entries.len().saturating_sub(MAX_ATTEMPTS);
    entries[skipped..].iter().filter_map(read).collect()
}

/// Has a message tell of these attempts too; only the last 20 stay.
pub(crate) fn add_attempt(headers: &mut Headers, more: impl IntoIterator<Item = Attempt>) {
    let mut all = attempts(headers);
    all.extend(more);
    let skipped = all.len().saturating_sub(MAX_ATTEMPTS);
    let entries: Vec<Value> = all[skipped..]
        .iter()
        .map(|attempt| json!([short(&attempt.at), short(&attempt.worker), short(&attempt.error)]))
        .collect();
    headers.other.insert(HEADER.to_owned(), Value::Array(entries));
}

/// Reads the deaths that the queue's hash tells of (`<ms> <worker>` a line, the newest first); the
/// oldest come first.
pub(crate) fn deaths(log: &[u8]) -> Vec<Attempt> {
    let log = String::from_utf8_lossy(log);
    let read = |line: &str| {
        let (ms, worker) = line.strip_suffix('\n')?.split_once(' ')?;
        let at = Timestamp::from_millisecond(ms.parse().ok()?).ok()?;
        Some(Attempt {
            at: clock::iso(at),
            worker: worker.to_owned(),
            error: match worker.ends_with("/child") {
                true => "the process that ran it died",
                false => "the worker died, or was silent for longer than its lease",
            }
            .to_owned(),
        })
    };
    let mut found: Vec<Attempt> = log.split_inclusive('\n').filter_map(read).collect();
    found.reverse();
    found
}

/// Returns a line of the queue's hash, for a process of a worker that lives.
pub(crate) fn death(at: Timestamp, worker: &str) -> String {
    let worker: String =
        worker.chars().take(MAX_TEXT).filter(|c| !c.is_control() && *c != ' ').collect();
    format!("{} {worker}/child\n", at.as_millisecond())
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(n: usize) -> Attempt {
        Attempt { at: format!("t{n}"), worker: "w".into(), error: "e".repeat(n) }
    }

    proptest::proptest! {
        #[test]
        fn any_log_of_deaths_is_read_as_far_as_it_goes(
            text in r"([-0-9]{0,22} [a-z@:]{0,9}\n?|.{0,20}){0,8}",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
        ) {
            for log in [text.as_bytes(), &bytes] {
                assert!(deaths(log).len() <= log.len());
            }
        }
    }

    #[test]
    fn a_message_tells_of_its_last_twenty_attempts() {
        let mut headers = Headers::new("t", "1");
        assert_eq!(attempts(&headers), []);
        add_attempt(&mut headers, [attempt(1)]);
        add_attempt(&mut headers, [attempt(2), attempt(3)]);
        assert_eq!(attempts(&headers), [attempt(1), attempt(2), attempt(3)]);
        add_attempt(&mut headers, (4..=300).map(attempt));
        let kept = attempts(&headers);
        assert_eq!((kept.len(), kept[0].at.as_str()), (20, "t281"));
        assert!(kept.iter().all(|attempt| attempt.error.len() == MAX_TEXT));
    }

    #[test]
    fn a_header_of_anybodys_making_is_read_as_far_as_it_goes() {
        let mut headers = Headers::new("t", "1");
        let odd = json!([["t1", "w", "e"], 3, ["t2", "w"], {"a": 1}, [1, 2, 3], null]);
        headers.other.insert(HEADER.to_owned(), odd);
        assert_eq!(attempts(&headers), [attempt(1)]);
        headers.other.insert(HEADER.to_owned(), json!("text"));
        assert_eq!(attempts(&headers), []);
    }

    #[test]
    fn deaths_come_the_oldest_first_and_a_cut_line_is_left_out() {
        let found = deaths(b"1700000001000 w2\n1700000000000 w1\nrubbish\n16999");
        let seen: Vec<(&str, &str)> =
            found.iter().map(|one| (one.at.as_str(), one.worker.as_str())).collect();
        assert_eq!(
            seen,
            [("2023-11-14T22:13:20+00:00", "w1"), ("2023-11-14T22:13:21+00:00", "w2")]
        );
    }
}
