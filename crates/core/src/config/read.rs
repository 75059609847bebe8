//! Reading one value: from TOML as it is typed there, or from text (environment, flags).

use std::{path::PathBuf, time::Duration};

use super::{
    model::{
        Compressor, KeyprefixForm, Layout, LogFormat, ResultCompression, Role, Serializer,
        SourceKind, UnknownTasks,
    },
    redis_url,
};
use crate::redact::{self, Address, SafeUrl};

/// A value as it was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// A value of the file.
    Toml(&'a toml::Value),
    /// Text of the environment or a flag.
    Text(&'a str),
}

/// Says what is wrong with a value, and the value, unless it may hold a secret.
pub(super) fn not<T: Setting>(problem: &str, given: Input<'_>) -> String {
    if T::SECRET { problem.to_owned() } else { format!("{problem}, not {}", given.shown()) }
}

/// A type that a setting can have. `Err` says what is wrong; the place is added by the caller.
pub(super) trait Setting: Sized {
    /// Whether what is given may hold a secret, so that what is wrong with it is told without it.
    const SECRET: bool = false;
    /// Reads it.
    fn read(input: Input<'_>) -> Result<Self, String>;
    /// Shows it as the file would have it; secrets hidden.
    fn show(&self) -> String;
}

impl Input<'_> {
    /// Returns the value as a person typed it, shortened, for messages; passwords of URLs hidden.
    pub(super) fn shown(&self) -> String {
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

    fn integer(&self, expected: &str) -> Result<i64, String> {
        match self {
            Self::Toml(toml::Value::Integer(n)) => Ok(*n),
            Self::Text(text) => text.trim().parse().map_err(|_| format!("{expected} is expected")),
            Self::Toml(_) => Err(format!("{expected} is expected")),
        }
    }

    pub(super) fn text(&self) -> Result<String, String> {
        match self {
            Self::Toml(toml::Value::String(text)) => Ok(text.clone()),
            Self::Text(text) => Ok((*text).to_owned()),
            Self::Toml(_) => Err("text in quotes is expected".to_owned()),
        }
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn read(input: Input<'_>) -> Result<Self, String> {
                let n = input.integer("a whole number")?;
                n.try_into().map_err(|_| format!("a whole number from 0 to {} is expected", Self::MAX))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
numbers!(u8, u16, u32);

/// A size in bytes: a number, or text such as `8 MiB`.
impl Setting for usize {
    fn read(input: Input<'_>) -> Result<Self, String> {
        let expected = "a whole number, or a size such as \"8 MiB\", is expected";
        let text = match input {
            Input::Toml(toml::Value::Integer(n)) => n.to_string(),
            other => other.text().map_err(|_| expected.to_owned())?,
        };
        size(text.trim()).ok_or_else(|| expected.to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
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
impl Setting for Duration {
    fn read(input: Input<'_>) -> Result<Self, String> {
        let expected =
            "seconds as a number, or text such as \"90s\", \"10m\", \"1h30m\", is expected";
        let text = match input {
            Input::Toml(toml::Value::Integer(n)) => n.to_string(),
            Input::Toml(toml::Value::Float(n)) => n.to_string(),
            other => other.text().map_err(|_| expected.to_owned())?,
        };
        duration(text.trim()).ok_or_else(|| expected.to_owned())
    }
    fn show(&self) -> String {
        if self.subsec_nanos() == 0 {
            self.as_secs().to_string()
        } else {
            self.as_secs_f64().to_string()
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

impl Setting for bool {
    fn read(input: Input<'_>) -> Result<Self, String> {
        match input {
            Input::Toml(toml::Value::Boolean(value)) => Ok(*value),
            Input::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err("true or false is expected".to_owned()),
            },
            Input::Toml(_) => Err("true or false is expected".to_owned()),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn read(input: Input<'_>) -> Result<Self, String> {
        input.text()
    }
    fn show(&self) -> String {
        toml::Value::String(redact::text(self)).to_string()
    }
}

impl Setting for PathBuf {
    fn read(input: Input<'_>) -> Result<Self, String> {
        input.text().map(Self::from)
    }
    fn show(&self) -> String {
        self.display().to_string().show()
    }
}

impl Setting for SafeUrl {
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, String> {
        redis_url::parse(&input.text()?)
    }
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for Address {
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, String> {
        input.text().map(Self::new)
    }
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

/// A list; in the environment its elements are separated by commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;
    fn read(input: Input<'_>) -> Result<Self, String> {
        match input {
            Input::Toml(toml::Value::Array(values)) => {
                values.iter().map(|value| T::read(Input::Toml(value))).collect()
            }
            Input::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| T::read(Input::Text(part))).collect()
            }
            Input::Toml(_) => Err("a list in brackets is expected".to_owned()),
        }
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Setting::show).collect::<Vec<_>>().join(", "))
    }
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;
    fn read(input: Input<'_>) -> Result<Self, String> {
        T::read(input).map(Some)
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "(unset)".to_owned(), Setting::show)
    }
}

/// How long a cache value is kept: a length of time, or `none` for ever.
pub(super) struct Kept(pub(super) Option<Duration>);

impl Setting for Kept {
    fn read(input: Input<'_>) -> Result<Self, String> {
        if input.text().is_ok_and(|text| text.trim() == "none") {
            return Ok(Self(None));
        }
        let kept = Duration::read(input).ok().filter(|kept| *kept >= Duration::from_secs(1));
        let expected = "1 s or more, such as 300 or \"10m\", or \"none\" for ever, is expected";
        kept.map(|kept| Self(Some(kept))).ok_or_else(|| expected.to_owned())
    }
    fn show(&self) -> String {
        self.0.map_or_else(|| "\"none\"".to_owned(), |kept| kept.show())
    }
}

/// Writes `Setting` for a type that is one of a few words.
macro_rules! words {
    ($type:ty: $($word:literal => $value:expr),* $(,)?) => {
        impl Setting for $type {
            fn read(input: Input<'_>) -> Result<Self, String> {
                let expected = concat!("one of", $(" \"", $word, "\"",)* " is expected");
                match input.text().map_err(|_| expected.to_owned())?.trim() {
                    $($word => Ok($value),)*
                    _ => Err(expected.to_owned()),
                }
            }
            fn show(&self) -> String {
                $(if *self == $value { return format!("{:?}", $word); })*
                String::new()
            }
        }
    };
}
pub(super) use words;
words!(Layout: "four" => Self::Four, "two" => Self::Two);
words!(LogFormat: "auto" => Self::Auto, "text" => Self::Text, "logfmt" => Self::Logfmt, "json" => Self::Json);
words!(KeyprefixForm: "5.7" => Self::Celery5_7, "5.4" => Self::Celery5_4);
words!(ResultCompression: "none" => Self::None, "zlib" => Self::Zlib, "gzip" => Self::Zlib, "bzip2" => Self::Bzip2,
    "zstd" => Self::Zstd);
words!(Serializer: "pickle" => Self::Pickle, "json" => Self::Json, "msgpack" => Self::MsgPack);
words!(Compressor: "none" => Self::None, "zlib" => Self::Zlib, "gzip" => Self::Gzip, "lzma" => Self::Lzma, "lz4" => Self::Lz4,
    "zstd" => Self::Zstd);
words!(Role: "queue" => Self::Queue, "results" => Self::Results, "cache" => Self::Cache, "sessions" => Self::Sessions, "jobs" => Self::Jobs);
words!(SourceKind: "greenhouse" => Self::Greenhouse, "lever" => Self::Lever, "ashby" => Self::Ashby,
    "remoteok" => Self::RemoteOk, "weworkremotely" => Self::WeWorkRemotely, "arbeitnow" => Self::Arbeitnow,
    "jsonld" => Self::JsonLd, "html" => Self::Html);

impl Setting for UnknownTasks {
    fn read(input: Input<'_>) -> Result<Self, String> {
        let expected = "\"park\" or \"forward:QUEUE\" is expected";
        let text = input.text().map_err(|_| expected.to_owned())?;
        match text.trim().split_once(':') {
            None if text.trim() == "park" => Ok(Self::Park),
            Some(("forward", queue)) if !queue.is_empty() => Ok(Self::Forward(queue.to_owned())),
            _ => Err(expected.to_owned()),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Park => "\"park\"".to_owned(),
            Self::Forward(queue) => format!("\"forward:{queue}\""),
        }
    }
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
