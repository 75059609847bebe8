//! How long the next message of a queue has waited: the oldest of its list, but for what was put
//! back.
//!
//! Where its publisher is ours the message says when it was published ([`published`]). Of what
//! Python published nobody knows. Then it has waited at least since somebody first saw it next in
//! its list: that is noted in one hash, so that the next look, of whatever process, goes on from
//! there. A queue that moves has then an age of about the time between two looks, and one that
//! stands has its real one, less the wait before the first look.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use rhubarb_core::clock;

use crate::{Client, Error, error::redis, keys::QueueKeys, published, script};

/// How many bytes of a message's end are looked at for its delivery tag.
const END: usize = 1024;
/// The longest tag that is remembered.
const LONGEST: usize = 100;
/// How long what was seen is remembered.
const KEPT: Duration = Duration::from_secs(86_400);

/// Returns for how long the next message of each of these queues has waited at least; a queue
/// without one is left out. Notes what was seen first where that may be written.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn look(client: &Client, names: &[String]) -> Result<HashMap<String, Duration>, Error> {
    let mut next = Vec::new();
    for name in names {
        let keys = QueueKeys::new(name, client.celery());
        let args = [END.to_string().into_bytes()];
        let ends: Vec<Vec<u8>> = client
            .queue()
            .eval(&script::NEXT_TAGS, &keys.lists, &args, &[])
            .await
            .map_err(redis(format!("look at what is next in queue `{name}`")))?;
        for (list, end) in keys.lists.into_iter().zip(ends) {
            next.extend(tag_in(&end).map(|tag| Next { queue: name, list, tag }));
        }
    }
    let now = clock::now();
    let seen = seen(client, &next, now).await;
    let mut oldest: HashMap<String, Duration> = HashMap::new();
    for Next { queue, list, tag } in &next {
        let since = published::time_of(tag).or_else(|| seen.get(list).copied()).unwrap_or(now);
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let known = oldest.entry((*queue).to_owned()).or_default();
        *known = age.max(*known);
    }
    Ok(oldest)
}

/// Returns the delivery tag of the message that runs next in a list, a word for one without; none
/// where nothing waits. Notes nothing.
pub(crate) async fn next_tag(client: &Client, list: &[String; 1]) -> Result<Option<String>, Error> {
    let args = [END.to_string().into_bytes()];
    let ends: Vec<Vec<u8>> = client
        .queue()
        .eval(&script::NEXT_TAGS, list, &args, &[])
        .await
        .map_err(redis("look at what is next in a queue"))?;
    Ok(ends.first().and_then(|end| tag_in(end)))
}

/// The message that runs next in a list.
struct Next<'a> {
    queue: &'a str,
    list: String,
    tag: String,
}

/// Returns since when each of those that do not say it themselves has been seen as the next. What
/// cannot be read or written is not known.
async fn seen(client: &Client, next: &[Next<'_>], now: Timestamp) -> HashMap<String, Timestamp> {
    let silent: Vec<&Next<'_>> =
        next.iter().filter(|one| published::time_of(&one.tag).is_none()).collect();
    if silent.is_empty() {
        return HashMap::new();
    }
    let key = client.keys().seen_next();
    let mut get = ::redis::cmd("HMGET");
    get.arg(&key);
    for one in &silent {
        get.arg(&one.list);
    }
    let notes: Vec<Option<String>> = client.queue().query(&get).await.unwrap_or_default();
    let (mut found, mut pipeline) = (HashMap::new(), ::redis::pipe());
    for (one, note) in silent.iter().zip(notes.into_iter().chain(std::iter::repeat(None))) {
        let since = note.as_deref().and_then(|note| since(note, &one.tag));
        if since.is_none() {
            let note = format!("{} {}", now.as_millisecond(), one.tag);
            pipeline.cmd("HSET").arg(&key).arg(&one.list).arg(note).ignore();
        }
        found.insert(one.list.clone(), since.unwrap_or(now));
    }
    pipeline.cmd("EXPIRE").arg(&key).arg(KEPT.as_secs()).ignore();
    // Who may only read has no memory, and no age of what Python published.
    let _ = client.queue().pipe::<()>(&pipeline).await;
    found
}

/// Reads a note: since when this tag was seen; none where it is of another.
fn since(note: &str, tag: &str) -> Option<Timestamp> {
    let (ms, of) = note.split_once(' ')?;
    let ms = ms.parse().ok().filter(|_| of == tag)?;
    Timestamp::from_millisecond(ms).ok()
}

/// Returns the delivery tag in the end of a message; a word for one without, and none of nothing.
fn tag_in(end: &[u8]) -> Option<String> {
    if end.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(end);
    let named = text.rsplit_once("\"delivery_tag\":").map(|(_, rest)| rest.trim_start());
    let tag = named.and_then(|rest| rest.strip_prefix('"')?.split_once('"'));
    let tag = tag.map_or("none", |(tag, _)| tag);
    Some(tag.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_found_at_a_messages_end() {
        let tag = |end: &str| tag_in(end.as_bytes());
        let kombus =
            r#""delivery_info": {"routing_key": "q"}, "priority": 0, "delivery_tag": "abc"}}"#;
        assert_eq!(tag(kombus).as_deref(), Some("abc"));
        assert_eq!(tag(r#"{"delivery_tag":"a"},"delivery_tag":"b"}"#).as_deref(), Some("b"));
        for none in ["rubbish", r#""delivery_tag": 7}"#, r#""delivery_tag": "cut"#] {
            assert_eq!(tag(none).as_deref(), Some("none"), "{none}");
        }
        assert_eq!(tag(""), None);
        assert_eq!(tag_in(&[0xff, 0xfe]).as_deref(), Some("none"));
        let long = format!(r#""delivery_tag": "{}""#, "é".repeat(300));
        assert_eq!(tag(&long).unwrap().chars().count(), LONGEST);
    }

    #[test]
    fn a_note_is_of_its_own_message_only() {
        let at = Timestamp::from_millisecond(1000).unwrap();
        assert_eq!(since("1000 a b", "a b"), Some(at));
        for other in ["1000 b", "x a", "", "1000", "99999999999999999999 a"] {
            assert_eq!(since(other, "a"), None, "{other}");
        }
    }
}
