//! A crontab in words, for a person who wants to know whether it says what was meant.

use super::{Crontab, field::Members};

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// More times of day than this are told by their hours and minutes.
const MOST_TIMES: u32 = 6;

impl Crontab {
    /// Returns it as a phrase: `every hour at minute 0`, `at 09:30 on Monday to Friday`.
    pub fn words(&self) -> String {
        let mut phrase = self.times();
        let days = self.days();
        if days.is_empty()
            && self.minute.len() * self.hour.len() <= MOST_TIMES
            && self.second.len() == 1
        {
            phrase = format!("every day {phrase}");
        }
        phrase + &days + &self.months()
    }

    fn times(&self) -> String {
        if self.second.len() > 1 {
            return self.seconds() + &self.inside();
        }
        let n_times = self.minute.len() * self.hour.len();
        if n_times <= MOST_TIMES {
            let times = self.hour.iter().flat_map(|hour| {
                self.minute.iter().map(move |minute| format!("{hour:02}:{minute:02}"))
            });
            let second = self.second.iter().next().unwrap_or_default();
            let seconds = if second == 0 { String::new() } else { format!(":{second:02}") };
            return format!("at {}", and(times.map(|time| time + &seconds).collect()));
        }
        let second = match self.second.iter().next() {
            Some(second) if second > 0 => format!(", at second {second}"),
            _ => String::new(),
        };
        self.minutes() + &second
    }

    fn seconds(&self) -> String {
        match step(self.second, 60) {
            Some(1) => "every second".to_owned(),
            Some(n) => format!("every {n} seconds"),
            None => format!("at second{} of each minute", numbers(self.second)),
        }
    }

    /// Returns in which minutes and hours the seconds are.
    fn inside(&self) -> String {
        let minutes = if self.minute.len() == 60 {
            String::new()
        } else {
            format!(" in minute{}", numbers(self.minute))
        };
        minutes + &self.in_hours(if self.minute.len() == 60 { " in" } else { " of" })
    }

    fn minutes(&self) -> String {
        let every = match step(self.minute, 60) {
            Some(1) => Some("every minute".to_owned()),
            Some(n) => Some(format!("every {n} minutes")),
            None => None,
        };
        match every {
            Some(every) => every + &self.in_hours(" in"),
            None => match step(self.hour, 24) {
                Some(1) => format!("every hour at minute{}", numbers(self.minute)),
                Some(n) => format!("every {n} hours at minute{}", numbers(self.minute)),
                None => format!("at minute{}{}", numbers(self.minute), self.in_hours(" of")),
            },
        }
    }

    fn in_hours(&self, word: &str) -> String {
        if self.hour.len() == 24 {
            String::new()
        } else {
            format!("{word} hour{}", numbers(self.hour))
        }
    }

    fn days(&self) -> String {
        let week = and(runs(self.day_of_week, |n| DAYS[usize::from(n)].to_owned()));
        let month = format!("day{} of the month", numbers(self.day_of_month));
        match (self.day_of_month.len() == 31, self.day_of_week.len() == 7) {
            (true, true) => String::new(),
            (true, false) => format!(" on {week}"),
            (false, true) => format!(" on {month}"),
            // Both have to hold, which whoever knows cron does not expect.
            (false, false) => format!(" on {month} if it is {week}"),
        }
    }

    fn months(&self) -> String {
        if self.month_of_year.len() == 12 {
            return String::new();
        }
        let name = |n: u8| MONTHS[usize::from(n) - 1].to_owned();
        format!(" in {}", and(runs(self.month_of_year, name)))
    }
}

/// Returns the distance when the members are all multiples of it from 0, as `*/n` makes them.
fn step(members: Members, modulus: u64) -> Option<u64> {
    let step = if members.len() > 1 { members.shortest_gap(modulus) } else { return None };
    let even = modulus.is_multiple_of(step) && u64::from(members.len()) == modulus / step;
    (even && members.has(0)).then_some(step)
}

/// Returns the members as ` 5`, or `s 1, 5 and 8 to 18` for more than one.
fn numbers(members: Members) -> String {
    let plural = if members.len() == 1 { "" } else { "s" };
    format!("{plural} {}", and(runs(members, |n| n.to_string())))
}

/// Returns the members, three or more in a row as `8 to 18`.
fn runs(members: Members, name: impl Fn(u8) -> String) -> Vec<String> {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for n in members.iter() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let shown = |(first, last): (u8, u8)| match last - first {
        0 => vec![name(first)],
        1 => vec![name(first), name(last)],
        _ => vec![format!("{} to {}", name(first), name(last))],
    };
    runs.into_iter().flat_map(shown).collect()
}

fn and(mut parts: Vec<String>) -> String {
    match (parts.pop(), parts.is_empty()) {
        (Some(last), false) => format!("{} and {last}", parts.join(", ")),
        (last, _) => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CrontabText;

    #[test]
    fn a_crontab_says_what_it_means() {
        for (line, expect) in [
            ("* * * * *", "every minute"),
            ("0 * * * *", "every hour at minute 0"),
            ("*/15 * * * *", "every 15 minutes"),
            ("*/7 * * * *", "every hour at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
            ("30 */4 * * *", "every day at 00:30, 04:30, 08:30, 12:30, 16:30 and 20:30"),
            ("30 */2 * * *", "every 2 hours at minute 30"),
            ("30 9 * * mon-fri", "at 09:30 on Monday to Friday"),
            ("0,30 8-18 * * *", "every 30 minutes in hours 8 to 18"),
            ("5,30 8-18 * * *", "at minutes 5 and 30 of hours 8 to 18"),
            ("*/15 8-18 * * 1,2", "every 15 minutes in hours 8 to 18 on Monday and Tuesday"),
            ("0 0 1 1 *", "at 00:00 on day 1 of the month in January"),
            ("0 0 13 * fri", "at 00:00 on day 13 of the month if it is Friday"),
            (
                "0 3 1-7 oct-feb sun",
                "at 03:00 on days 1 to 7 of the month if it is Sunday in January, February and October to December",
            ),
            ("*/10 * * * * *", "every 10 seconds"),
            ("* 0 9 * * *", "every second in minute 0 of hour 9"),
            ("5 0 9 * * *", "every day at 09:00:05"),
            ("5 * * * * *", "every minute, at second 5"),
            ("1,2 * * * * *", "at seconds 1 and 2 of each minute"),
        ] {
            let text = CrontabText::from_line(line).unwrap();
            assert_eq!(Crontab::parse(&text).unwrap().words(), expect, "{line}");
        }
    }
}
