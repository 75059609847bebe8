//! A crontab as one line, in the order of crontab(5), and the names that stand for lines.

use std::borrow::Cow;

use super::{Crontab, CrontabError};
use crate::entry::CrontabText;

/// What may stand in place of five fields, with what it means. crontab(5) of Vixie cron has the
/// same.
const NAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl CrontabText {
    /// Reads a line of five fields (minute, hour, day of month, month, day of week), of six with
    /// seconds in front, or a name such as `@hourly`.
    ///
    /// # Errors
    ///
    /// A line of another form, or one whose fields are wrong: see [`Crontab::parse`].
    pub fn from_line(line: &str) -> Result<Self, CrontabError> {
        let wrong = || CrontabError::Line(line.trim().chars().take(60).collect());
        let named = line.trim();
        let fields = match NAMES.iter().find(|(name, _)| named.eq_ignore_ascii_case(name)) {
            Some((_, fields)) => fields,
            None if named.starts_with('@') => return Err(wrong()),
            None => named,
        };
        // More than six would be cut off by the pattern below: the seventh says that it is wrong.
        let fields: Vec<&str> = fields.split_ascii_whitespace().take(7).collect();
        let (second, fields) = match fields.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (*second, rest),
            rest => ("0", rest),
        };
        let &[minute, hour, day_of_month, month_of_year, day_of_week] = fields else {
            return Err(wrong());
        };
        let text = Self {
            second: Self::field(second),
            minute: Self::field(minute),
            hour: Self::field(hour),
            day_of_week: Self::field(day_of_week),
            day_of_month: Self::field(day_of_month),
            month_of_year: Self::field(month_of_year),
        };
        Crontab::parse(&text)?;
        Ok(text)
    }

    /// Returns it as a line, with seconds only where they are not 0.
    pub fn line(&self) -> String {
        // Celery takes spaces after a comma; in a line they part fields.
        let field = |text: &Cow<'_, str>| text.split_whitespace().collect::<String>();
        let five =
            [&self.minute, &self.hour, &self.day_of_month, &self.month_of_year, &self.day_of_week]
                .map(field)
                .join(" ");
        if self.second == "0" { five } else { format!("{} {five}", field(&self.second)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_five_fields_or_six_or_a_name() {
        for (line, expect) in [
            ("30 9 * * mon-fri", "30 9 * * mon-fri"),
            ("  */15   8-18 1,15 * *  ", "*/15 8-18 1,15 * *"),
            ("*/10 * * * * *", "*/10 * * * * *"),
            ("0 30 9 * * *", "30 9 * * *"),
            ("@hourly", "0 * * * *"),
            ("@Weekly", "0 0 * * 0"),
            ("@annually", "0 0 1 1 *"),
        ] {
            assert_eq!(CrontabText::from_line(line).unwrap().line(), expect, "{line}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused_with_the_place_and_an_example() {
        for (line, expect) in [
            ("* * * *", "`* * * *` is not a cron line; five fields are expected"),
            ("* * * * * * *", "is not a cron line"),
            ("", "`` is not a cron line"),
            ("@reboot", "`@reboot` is not a cron line"),
            (
                "5/20 * * * *",
                "minute `5/20`: a step needs `*` or a range before it; it takes 0 to 59",
            ),
            ("0 0 * * 7", "day_of_week `7`: 7 is not in 0 to 6; it takes 0 (Sunday) to 6"),
            ("0 0 31 4 *", "day_of_month `31` never occurs in month_of_year `4`"),
            ("60 * * * * *", "second `60`: 60 is not in 0 to 59"),
            ("0 0 L * *", "day_of_month `L`: not a number or name"),
            ("*/0 * * * *", "minute `*/0`: a step cannot be zero"),
        ] {
            let error = CrontabText::from_line(line).unwrap_err().to_string();
            assert!(error.contains(expect), "{line}: {error}");
        }
    }
}
