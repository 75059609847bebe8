//! The end of a walk by `SCAN` or its like on a server whose cursor never comes to one.

use redis::Cmd;

use crate::{Error, Redis};

/// So many pages any walk may have: a table that was emptied lately is walked through as a large
/// one (25 million places at 250 for a page).
const FREE: u64 = 10_000;
/// How many times the pages that hold all elements a walk may have. A table has up to ten places
/// for an element, and two tables while it grows.
const FACTOR: u64 = 16;
/// The most elements that are believed; also what is taken for the number where it is not told.
const MOST: u64 = 10_000_000_000;

/// Counts the pages of one walk.
///
/// A walk ends when the server says so, and its time is bounded by nothing else. A hostile or
/// broken server would keep it going for ever. How many elements there are is asked when a walk is
/// long.
#[derive(Debug)]
pub struct Pages {
    size: Cmd,
    count: u64,
    turned: u64,
    most: u64,
}

impl Pages {
    /// Makes one for a walk with `COUNT count`; `size` is the command that tells how many elements
    /// there are: `DBSIZE`, or `HLEN` with its key.
    pub fn new(size: Cmd, count: usize) -> Self {
        Self { size, count: count.max(1) as u64, turned: 0, most: FREE }
    }

    /// Notes that a page is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] when there can be no further page; what `size` ends with, but for a
    /// refusal.
    pub async fn turn(&mut self, redis: &Redis) -> Result<(), Error> {
        self.turned += 1;
        if self.turned <= self.most {
            return Ok(());
        }
        let size = match redis.query::<u64>(&self.size).await {
            Err(Error::Refused { .. }) => MOST,
            size => size?,
        };
        self.most = most(size, self.count);
        if self.turned <= self.most {
            return Ok(());
        }
        let reason = format!(
            "its cursor has not come back to 0 after {} pages of {size} elements, {} in a page: is \
             that a Redis?",
            self.most, self.count
        );
        Err(Error::Unexpected { command: "SCAN".to_owned(), reason })
    }
}

/// Returns how many pages a walk may have.
fn most(size: u64, count: u64) -> u64 {
    FREE + FACTOR * (size.min(MOST) / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_may_have_many_times_the_pages_that_hold_all_elements() {
        let check = |size, count, expect| assert_eq!(most(size, count), expect, "{size} {count}");
        check(0, 500, FREE);
        check(1_000_000, 500, FREE + 32_000);
        check(u64::MAX, 1, FREE + FACTOR * MOST);
    }
}
