//! Which share of a task's messages our workers take, while Python's workers take the others.
//!
//! The id decides, so that all workers decide alike, a redelivery or a retry as the first time, and
//! a larger share holds the smaller one. The setting `[share]` is the default; what `rhubarb share`
//! writes to Redis goes before it.

use std::collections::BTreeMap;

use crate::{Client, Error, error::redis, script};

/// How many tasks may have a share in Redis.
pub const MAX: usize = 1_000;
/// The longest name that may, bytes.
const LONGEST: usize = 512;

/// Tells whether a task with this id is in a share of so many percent.
///
/// `pick.lua` decides in the same way.
pub fn holds(percent: u8, id: &str) -> bool {
    let [a, b, c, d, ..] = sha1_smol::Sha1::from(id).digest().bytes();
    u32::from_be_bytes([a, b, c, d]) % 100 < u32::from(percent)
}

/// Tells what is wrong with shares in the settings.
pub(crate) fn problems(shares: &BTreeMap<String, u8>) -> Vec<String> {
    let wrong = shares.iter().filter(|(_, percent)| **percent > 100);
    wrong.map(|(task, n)| format!("share.{task}: {n} is not in 0 to 100 (percent)")).collect()
}

/// Reads the shares that stand in Redis.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn load(client: &Client) -> Result<BTreeMap<String, u8>, Error> {
    let args = [MAX.to_string().into_bytes()];
    let found: BTreeMap<String, String> = client
        .queue()
        .eval(&script::SHARES, &[client.keys().shares()], &args, &[])
        .await
        .map_err(redis("read the shares of tasks"))?;
    Ok(read(found))
}

/// Reads what stands in the hash. What is no percentage is nobody's: the setting holds.
pub fn read(found: BTreeMap<String, String>) -> BTreeMap<String, u8> {
    let read = |(task, text): (String, String)| {
        text.parse().ok().filter(|percent| *percent <= 100).map(|percent| (task, percent))
    };
    found.into_iter().filter_map(read).collect()
}

/// Sets a task's share, or has the setting hold again; workers see it within seconds.
///
/// # Errors
///
/// [`Error::Refused`] for a name or a number that cannot be, or where too many tasks have a share;
/// [`Error::Redis`].
pub async fn set(client: &Client, task: &str, percent: Option<u8>) -> Result<(), Error> {
    let key = client.keys().shares();
    let failed = || redis(format!("set the share of task `{task}`"));
    if task.is_empty() || task.len() > LONGEST || task.chars().any(char::is_control) {
        let rule = format!("a task's name has 1 to {LONGEST} bytes and no control characters");
        return Err(Error::Refused(rule));
    }
    let Some(percent) = percent else {
        let mut delete = ::redis::cmd("HDEL");
        delete.arg(&key).arg(task);
        return client.queue().query::<u64>(&delete).await.map(drop).map_err(failed());
    };
    if percent > 100 {
        return Err(Error::Refused(format!("a share is 0 to 100 percent, not {percent}")));
    }
    let mut look = ::redis::pipe();
    look.cmd("HLEN").arg(&key).cmd("HEXISTS").arg(&key).arg(task);
    let (n, is_there): (usize, bool) = client.queue().pipe(&look).await.map_err(failed())?;
    if n >= MAX && !is_there {
        return Err(Error::Refused(format!(
            "{n} tasks have a share in Redis already; reset one first by `rhubarb share NAME \
             default`"
        )));
    }
    let mut set = ::redis::cmd("HSET");
    set.arg(&key).arg(task).arg(percent);
    client.queue().query::<u64>(&set).await.map(drop).map_err(failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_near_what_was_asked_and_a_larger_one_holds_the_smaller() {
        let ids: Vec<String> = (0..10_000).map(|n| format!("id-{n}")).collect();
        for percent in [0, 1, 10, 50, 99, 100] {
            let n = ids.iter().filter(|id| holds(percent, id)).count();
            assert!(n.abs_diff(usize::from(percent) * 100) <= 150, "{percent}: {n}");
        }
        assert!(ids.iter().all(|id| !holds(10, id) || holds(50, id)));
        // SHA-1 of "abc" begins with a9993e36, 2845392438: the script has to say the same.
        assert!(holds(39, "abc") && !holds(38, "abc"));
    }

    #[test]
    fn more_than_all_is_no_share() {
        let shares = BTreeMap::from([("a".to_owned(), 100), ("b".to_owned(), 101)]);
        assert_eq!(problems(&shares), ["share.b: 101 is not in 0 to 100 (percent)"]);
    }
}
