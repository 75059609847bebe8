//! When a message was published: our publishers' delivery tags say it.
//!
//! Celery's messages carry no time, and each has a delivery tag that is new for each publication, a
//! random UUID by kombu's habit, which nobody reads. Ours is a UUID of version 7: its first 48 bits
//! are milliseconds since 1970 on the publisher's clock. So it costs no byte and no header, and a
//! retry or the next step of a chain has its own. Of what Python published the time is not known.

use jiff::Timestamp;
use rhubarb_core::clock;
use uuid::{Builder, Uuid};

/// Returns a delivery tag that says when it was made; the rest of it is of `unique`, where that is
/// a UUID, and else it is `unique` itself.
pub fn tag(now: Timestamp, unique: String) -> String {
    let (Ok(id), Ok(ms)) = (Uuid::parse_str(&unique), u64::try_from(now.as_millisecond())) else {
        return unique;
    };
    let mut rest = [0; 10];
    rest.copy_from_slice(&id.as_bytes()[..10]);
    // The last bytes are as random, and where versions and variants stand the first are not.
    rest.iter_mut().zip(&id.as_bytes()[10..]).for_each(|(byte, more)| *byte ^= more);
    Builder::from_unix_timestamp_millis(ms, &rest).into_uuid().to_string()
}

/// Returns a fresh delivery tag of this moment.
pub fn fresh_tag() -> String {
    tag(clock::now(), Uuid::new_v4().to_string())
}

/// Returns when the message with this tag was published; none where its publisher does not say.
pub fn time_of(tag: &str) -> Option<Timestamp> {
    // Other forms of a UUID than this one are nobody's tags.
    let id = (tag.len() == 36).then(|| Uuid::try_parse(tag).ok()).flatten()?;
    let (seconds, nanoseconds) =
        id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_when_it_was_made_and_is_new_each_time() {
        let now = Timestamp::from_millisecond(1_764_446_400_123).unwrap();
        let tags: std::collections::HashSet<String> =
            (0..1000).map(|_| tag(now, Uuid::new_v4().to_string())).collect();
        assert_eq!(tags.len(), 1000);
        assert!(tags.iter().all(|one| time_of(one) == Some(now)), "{tags:?}");
        assert_eq!(tag(now, "seed-1".to_owned()), "seed-1");
        assert!(time_of(&fresh_tag()).is_some_and(|at| at > now));
    }

    #[test]
    fn what_python_and_others_write_says_nothing() {
        for other in [
            &Uuid::new_v4().to_string(),
            &Uuid::new_v5(&Uuid::NAMESPACE_OID, b"x").to_string(),
            "",
            "7",
            "urn:uuid:019acd50-0000-7000-8000-000000000000",
            "019acd50000070008000000000000000",
            "é19acd50-0000-7000-8000-00000000000",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
