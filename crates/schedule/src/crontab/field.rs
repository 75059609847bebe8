//! One field of a crontab: its text, and the numbers that it names.

use std::ops::RangeInclusive;

use super::CrontabError;

/// A set of numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(u64);

impl Members {
    pub(super) fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    fn add(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    /// Returns how many there are.
    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns the members in ascending order.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |n| self.has(*n))
    }

    /// Returns the least distance between two of at least two members, counted round `modulus`.
    pub(super) fn shortest_gap(self, modulus: u64) -> u64 {
        let all: Vec<u64> = self.iter().map(u64::from).collect();
        let round = all.first().zip(all.last()).map(|(first, last)| first + modulus - last);
        all.windows(2).map(|pair| pair[1] - pair[0]).chain(round).min().unwrap_or(modulus)
    }

    /// Returns the least member that is not below `least`.
    pub(super) fn from(self, least: u8) -> Option<i8> {
        (least..64).find(|n| self.has(*n)).and_then(|n| i8::try_from(n).ok())
    }
}

/// What a field takes.
pub(super) struct Field {
    name: &'static str,
    least: u8,
    greatest: u8,
    names: &'static [&'static str],
    example: &'static str,
}

pub(super) const SECOND: Field = Field {
    name: "second",
    least: 0,
    greatest: 59,
    names: &[],
    example: "it takes 0 to 59, for example \"0\", \"*/10\" or \"5,35\"",
};
pub(super) const MINUTE: Field = Field {
    name: "minute",
    least: 0,
    greatest: 59,
    names: &[],
    example: "it takes 0 to 59, for example \"0\", \"*/15\" or \"0-30/10\"",
};
pub(super) const HOUR: Field = Field {
    name: "hour",
    least: 0,
    greatest: 23,
    names: &[],
    example: "it takes 0 to 23, for example \"*/4\", \"8-18\" or \"22-3\"",
};
pub(super) const DAY_OF_WEEK: Field = Field {
    name: "day_of_week",
    least: 0,
    greatest: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    example: "it takes 0 (Sunday) to 6 or names, for example \"mon-fri\" or \"0,6\"",
};
pub(super) const DAY_OF_MONTH: Field = Field {
    name: "day_of_month",
    least: 1,
    greatest: 31,
    names: &[],
    example: "it takes 1 to 31, for example \"1\", \"1-7\" or \"*/10\"",
};
pub(super) const MONTH_OF_YEAR: Field = Field {
    name: "month_of_year",
    least: 1,
    greatest: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    example: "it takes 1 to 12 or names, for example \"jan\", \"*/3\" or \"oct-feb\"",
};

impl Field {
    pub(super) fn parse(&self, text: &str) -> Result<Members, CrontabError> {
        let mut members = Members::default();
        for part in text.split(',') {
            self.parse_part(part.trim(), &mut members).map_err(|reason| CrontabError::Part {
                field: self.name,
                part: part.trim().chars().take(40).collect(),
                reason,
                example: self.example,
            })?;
        }
        Ok(members)
    }

    fn parse_part(&self, part: &str, members: &mut Members) -> Result<(), String> {
        let (base, step) = match part.split_once('/') {
            Some((base, step)) => (base, Some(parse_step(step)?)),
            None => (part, None),
        };
        let (first, last) = match base.split_once('-') {
            _ if base == "*" => (self.least, self.greatest),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if step.is_some() => return Err("a step needs `*` or a range before it".into()),
            None => (self.number(base)?, self.number(base)?),
        };
        let step = step.unwrap_or(1);
        if first <= last {
            (first..=last).step_by(step).for_each(|n| members.add(n));
        } else {
            let wrapped = (first..=self.greatest).chain(self.least..=last);
            wrapped.step_by(step).for_each(|n| members.add(n));
        }
        Ok(())
    }

    /// Reads a number or a name; a name counts by its first three letters, as Celery takes it
    /// (`thurs`).
    fn number(&self, text: &str) -> Result<u8, String> {
        let range: RangeInclusive<u8> = self.least..=self.greatest;
        if text.is_empty() {
            return Err("a number is missing (negative numbers are not supported)".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|n| range.contains(n));
            let shown: String = text.chars().take(40).collect();
            return number
                .ok_or_else(|| format!("{shown} is not in {} to {}", self.least, self.greatest));
        }
        let short: String = text.chars().take(3).collect::<String>().to_lowercase();
        let known = text.chars().all(char::is_alphabetic);
        let name = self.names.iter().position(|name| known && **name == short);
        name.and_then(|at| u8::try_from(at).ok())
            .map(|at| self.least + at)
            .ok_or_else(|| "not a number or name that the field knows".into())
    }
}

fn parse_step(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("a step cannot be zero".into()),
        Ok(step) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(step),
        _ => Err("the step after `/` is not a number".into()),
    }
}
