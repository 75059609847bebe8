//! Reading one value: from TOML as it is typed there, or from text (environment, flags); and
//! showing it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    redact::{self, Address, SafeUrl},
    redis_url,
    toml_text::quoted,
};

/// A value as it was given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A value of the file.
    Toml(&'a toml::Value),
    /// Text of the environment or a flag.
    Text(&'a str),
}

/// What is wrong with a value: a sentence, or nothing where it is just not what is accepted.
pub type Wrong = Option<String>;

/// A value as `--print-config` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As the file would have it.
    Is(String),
    /// It is not set.
    Unset,
    /// What is left of it without its secrets: not what is set.
    Cut(String),
}

/// A type that a setting can have.
pub trait Value: Sized {
    /// What is accepted, where the setting does not say it better: "true or false".
    const ACCEPTS: &'static str;
    /// Whether what is given may hold a secret, so that what is wrong with it is told without it.
    const SECRET: bool = false;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong; the caller adds the place.
    fn read(input: Input<'_>) -> Result<Self, Wrong>;

    /// Shows it as the file would have it, secrets cut.
    fn show(&self) -> Shown;

    /// Returns it as a person would write it, with units.
    fn written(&self) -> String {
        self.show().text().to_owned()
    }
}

impl Shown {
    /// Shows a text; where it is not the `whole`, which is never printed, it was cut.
    pub fn of(shown: &str, whole: &str) -> Self {
        let text = quoted(shown);
        if shown == whole { Self::Is(text) } else { Self::Cut(text) }
    }

    /// Returns what is shown.
    pub fn text(&self) -> &str {
        match self {
            Self::Is(text) | Self::Cut(text) => text,
            Self::Unset => "(unset)",
        }
    }
}

/// The longest name of a queue, bytes.
pub const LONGEST_QUEUE_NAME: usize = 512;

/// Tells whether a name has the form of a queue's.
pub fn is_queue_name(name: &str) -> bool {
    (1..=LONGEST_QUEUE_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Says what is wrong with a value, and the value, unless it may hold a secret.
pub(crate) fn not<T: Value>(problem: &str, given: Input<'_>) -> String {
    if T::SECRET { problem.to_owned() } else { format!("{problem}, not {}", given.shown()) }
}

impl Input<'_> {
    /// Returns the value as a person typed it, shortened, for messages; passwords of URLs hidden.
    pub(crate) fn shown(&self) -> String {
        let text = match self {
            Self::Toml(value) => redact::text(&value.to_string()),
            Self::Text(text) => format!("`{}`", redact::text(text)),
        };
        if text.chars().count() > 80 {
            text.chars().take(77).collect::<String>() + "…"
        } else {
            text
        }
    }

    /// Returns the text; nothing where the file has another type.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Toml(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    /// Returns a number as it is written, or the text.
    fn number_or_text(&self) -> Option<String> {
        match self {
            Self::Toml(toml::Value::Integer(n)) => Some(n.to_string()),
            Self::Toml(toml::Value::Float(n)) => Some(n.to_string()),
            other => other.text().map(|text| text.trim().to_owned()),
        }
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Value for $number {
            const ACCEPTS: &'static str = "a whole number";
            fn read(input: Input<'_>) -> Result<Self, Wrong> {
                match input {
                    Input::Toml(value) => value.as_integer(),
                    Input::Text(text) => text.trim().parse().ok(),
                }
                .and_then(|n: i64| n.try_into().ok())
                .ok_or(None)
            }
            fn show(&self) -> Shown {
                Shown::Is(self.to_string())
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

/// A size in bytes: a number, or text such as `8 MiB`.
impl Value for usize {
    const ACCEPTS: &'static str = "a whole number, or a size such as \"8 MiB\",";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        input.number_or_text().and_then(|text| size(&text)).ok_or(None)
    }
    fn show(&self) -> Shown {
        Shown::Is(self.to_string())
    }
    fn written(&self) -> String {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = units.into_iter().find(|(unit, _)| *self > 0 && self.is_multiple_of(*unit));
        unit.map_or(self.to_string(), |(unit, name)| format!("\"{} {name}\"", self / unit))
    }
}

fn size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" | "kb" => 1 << 10,
        "mib" | "m" | "mb" => 1 << 20,
        "gib" | "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A length of time: seconds as a number, or text such as `90s`, `10m`, `1h30m`.
impl Value for Duration {
    const ACCEPTS: &'static str =
        "seconds as a number, or text such as \"90s\", \"10m\", \"1h30m\",";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        input.number_or_text().and_then(|text| duration(&text)).ok_or(None)
    }
    fn show(&self) -> Shown {
        let whole = i64::try_from(self.as_secs()).ok().filter(|_| self.subsec_nanos() == 0);
        Shown::Is(whole.map_or_else(|| format!("{:?}", self.as_secs_f64()), |n| n.to_string()))
    }
    fn written(&self) -> String {
        let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
        let seconds = self.as_secs();
        let unit = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
        match unit {
            _ if self.subsec_nanos() > 0 => format!("{:?}", self.as_secs_f64()),
            Some((unit, name)) => format!("\"{}{name}\"", seconds / unit),
            None => format!("\"{seconds}s\""),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|c: char| !c.is_alphabetic()).map_or(rest.len(), |n| digits + n);
        let unit = match &rest[digits..unit_end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = rest[unit_end..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

impl Value for bool {
    const ACCEPTS: &'static str = "true or false";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        match input {
            Input::Toml(value) => value.as_bool().ok_or(None),
            Input::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(None),
            },
        }
    }
    fn show(&self) -> Shown {
        Shown::Is(self.to_string())
    }
}

impl Value for String {
    const ACCEPTS: &'static str = "text in quotes";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        input.text().map(str::to_owned).ok_or(None)
    }
    fn show(&self) -> Shown {
        Shown::of(&redact::text(self), self)
    }
}

impl Value for PathBuf {
    const ACCEPTS: &'static str = "a path";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        String::read(input).map(Self::from)
    }
    fn show(&self) -> Shown {
        self.display().to_string().show()
    }
}

impl Value for SafeUrl {
    const ACCEPTS: &'static str = "a Redis URL";
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        redis_url::parse(input.text().ok_or(None)?).map_err(Some)
    }
    fn show(&self) -> Shown {
        Shown::of(&self.to_string(), self.expose().as_str())
    }
}

impl Value for Address {
    const ACCEPTS: &'static str = "an address";
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        input.text().map(Self::new).ok_or(None)
    }
    fn show(&self) -> Shown {
        Shown::of(&self.to_string(), self.expose().trim_end_matches('/'))
    }
}

/// An address to listen on.
impl Value for SocketAddr {
    const ACCEPTS: &'static str = "an IP address with a port, such as \"127.0.0.1:9464\",";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        input.text().and_then(|text| text.trim().parse().ok()).ok_or(None)
    }
    fn show(&self) -> Shown {
        Shown::Is(quoted(&self.to_string()))
    }
}

/// A list; in the environment its elements are separated by commas.
impl<T: Value> Value for Vec<T> {
    const ACCEPTS: &'static str = "a list in brackets";
    const SECRET: bool = T::SECRET;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        match input {
            Input::Toml(value) => {
                let values = value.as_array().ok_or(None)?;
                values.iter().map(|value| T::read(Input::Toml(value))).collect()
            }
            Input::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| T::read(Input::Text(part))).collect()
            }
        }
    }
    fn show(&self) -> Shown {
        let all: Vec<Shown> = self.iter().map(Value::show).collect();
        let texts: Vec<&str> = all.iter().map(Shown::text).collect();
        let text = format!("[{}]", texts.join(", "));
        let is_cut = all.iter().any(|shown| matches!(shown, Shown::Cut(_)));
        if is_cut { Shown::Cut(text) } else { Shown::Is(text) }
    }
}

impl<T: Value> Value for Option<T> {
    const ACCEPTS: &'static str = T::ACCEPTS;
    const SECRET: bool = T::SECRET;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        T::read(input).map(Some)
    }
    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Unset, Value::show)
    }
    fn written(&self) -> String {
        self.as_ref().map_or_else(|| Shown::Unset.text().to_owned(), Value::written)
    }
}

/// How long a cache value is kept: a length of time, or `none` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept(pub Option<Duration>);

impl Value for Kept {
    const ACCEPTS: &'static str = "1 s or more, such as 300 or \"10m\", or \"none\" for ever,";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        if input.text().is_some_and(|text| text.trim() == "none") {
            return Ok(Self(None));
        }
        let kept = Duration::read(input)?;
        if kept < Duration::from_secs(1) { Err(None) } else { Ok(Self(Some(kept))) }
    }
    fn show(&self) -> Shown {
        self.0.map_or_else(|| Shown::Is(quoted("none")), |kept| kept.show())
    }
    fn written(&self) -> String {
        self.0.map_or_else(|| quoted("none"), |kept| kept.written())
    }
}

impl From<Option<Duration>> for Kept {
    fn from(kept: Option<Duration>) -> Self {
        Self(kept)
    }
}

impl From<Kept> for Option<Duration> {
    fn from(kept: Kept) -> Self {
        kept.0
    }
}

/// Makes a type that is one of a few words a [`Value`].
#[macro_export]
macro_rules! words {
    ($type:ty: $($word:literal => $value:expr),* $(,)?) => {
        impl $crate::Value for $type {
            const ACCEPTS: &'static str = concat!("one of", $(" \"", $word, "\"",)*);
            fn read(input: $crate::Input<'_>) -> Result<Self, $crate::Wrong> {
                match input.text().ok_or(None)?.trim() {
                    $($word => Ok($value),)*
                    _ => Err(None),
                }
            }
            fn show(&self) -> $crate::Shown {
                let words = [$(($value, $word)),*];
                let word = words.iter().find(|(value, _)| value == self);
                $crate::Shown::Is($crate::quoted(word.map_or("", |(_, word)| word)))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_seconds_or_text() {
        for (text, expect) in [
            ("90", Some(90_000)),
            ("1.5", Some(1500)),
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), expect, "{text}");
        }
        for bad in ["", "-1", "soon", "5x", "1h30", "nan"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_size_is_bytes_or_text() {
        for (text, expect) in [
            ("0", Some(0)),
            ("8 MiB", Some(8 << 20)),
            ("512k", Some(512 << 10)),
            ("x", None),
            ("1 TiB", None),
        ] {
            assert_eq!(size(text), expect, "{text}");
        }
    }
}
