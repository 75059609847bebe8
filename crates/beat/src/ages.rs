//! Queues whose next task has waited for too long: told once, until they move again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use rhubarb_core::clock;
use rhubarb_queue::{
    Client, Error, inspect,
    notice::{Notice, NoticeKind},
    oldest,
};
use tokio::{task::JoinHandle, time::Instant};

use crate::webhook::Webhooks;

/// How often the beat that leads looks, at the most and at the least.
const EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// A look at one time, beside the beat's own work.
type Look = JoinHandle<Result<HashMap<String, Duration>, Error>>;

/// What is known of the queues' ages.
#[derive(Debug)]
pub(crate) struct Ages {
    /// How long a task may wait; zero tells of none.
    limit: Duration,
    looked: Option<Instant>,
    looking: Option<Look>,
    told: BTreeSet<String>,
}

impl Ages {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, looked: None, looking: None, told: BTreeSet::new() }
    }

    /// Begins a look when it is time for one, and tells of what the last one has found. It waits
    /// for nothing; a look that fails says nothing.
    pub(crate) fn look(&mut self, client: &Client, hooks: &mut Webhooks) {
        use futures_util::FutureExt;
        if self.limit.is_zero() {
            return;
        }
        if let Some(looking) = self.looking.take_if(|looking| looking.is_finished())
            && let Some(Ok(Ok(ages))) = looking.now_or_never()
        {
            self.judge(&ages).iter().for_each(|notice| hooks.notice(notice));
        }
        let every = (self.limit / 2).clamp(EVERY.0, EVERY.1);
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= every);
        if due && self.looking.is_none() {
            self.looked = Some(Instant::now());
            let client = client.clone();
            self.looking = Some(tokio::spawn(async move {
                let names = inspect::queue_names(&client, &[]).await?;
                oldest::look(&client, &names).await
            }));
        }
    }

    fn judge(&mut self, ages: &HashMap<String, Duration>) -> Vec<Notice> {
        let is_old = |queue: &str| ages.get(queue).is_some_and(|age| *age > self.limit);
        self.told.retain(|queue| is_old(queue));
        let mut news: Vec<(&String, &Duration)> =
            ages.iter().filter(|(queue, _)| is_old(queue) && !self.told.contains(*queue)).collect();
        news.sort();
        let told = news.iter().map(|(queue, age)| notice(queue, **age, self.limit)).collect();
        self.told.extend(news.into_iter().map(|(queue, _)| queue.clone()));
        told
    }
}

fn notice(queue: &str, age: Duration, limit: Duration) -> Notice {
    let (age_s, limit_s) = (age.as_secs(), limit.as_secs());
    let text = format!("The next task of queue {queue} has waited for {age_s} s");
    Notice::new(NoticeKind::QueueOld, queue, clock::now(), &text)
        .with("queue", queue)
        .with("age_s", age_s)
        .with("limit_s", limit_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_queue_is_told_once_until_it_moves() {
        let mut ages = Ages::new(Duration::from_secs(60));
        let mut told = |seen: &[(&str, u64)]| {
            let seen = seen.iter().map(|(q, s)| ((*q).to_owned(), Duration::from_secs(*s)));
            let notices = ages.judge(&seen.collect());
            notices.into_iter().map(|notice| notice.about).collect::<Vec<_>>()
        };
        assert_eq!(told(&[("a", 60), ("b", 61), ("c", 500)]), ["b", "c"]);
        assert_eq!(told(&[("a", 61), ("b", 90), ("c", 560)]), ["a"]);
        assert_eq!(told(&[("b", 5)]), Vec::<String>::new());
        assert_eq!(told(&[("b", 100), ("c", 100)]), ["b", "c"]);
    }
}
