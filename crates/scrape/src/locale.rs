//! What is known of a page's language and country: it decides how dates are written and which
//! money a sign means.

/// A language and a country, each as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locale {
    /// ISO 639-1, in small letters.
    language: Option<[u8; 2]>,
    /// ISO 3166-1 alpha-2, in capital letters.
    country: Option<[u8; 2]>,
}

impl Locale {
    /// Reads a language tag (`en-US`, `de_AT`, `zh-Hant-TW`, `fr`); what is none gives nothing.
    pub fn of_tag(tag: &str) -> Self {
        let mut parts = tag.trim().split(['-', '_']);
        let language = parts.next().and_then(two_letters).map(|code| code.map(lower));
        let country = parts.find_map(two_letters).map(|code| code.map(upper));
        Self { language, country: country.filter(|_| language.is_some()) }
    }

    /// Returns what a country's code says: `US`, `gb`.
    pub fn of_country(code: &str) -> Self {
        Self { language: None, country: two_letters(code.trim()).map(|code| code.map(upper)) }
    }

    /// Returns what the last part of a host's name says: `.co.uk` is British, `.com` nobody's.
    pub fn of_host(host: &str) -> Self {
        // Sold to everybody, whatever country they belong to.
        const ANYBODYS: [&str; 12] =
            ["io", "ai", "co", "me", "tv", "cc", "ly", "gg", "so", "fm", "to", "eu"];
        let last = host.rsplit('.').next().unwrap_or_default();
        match last {
            "uk" => Self::of_country("GB"),
            last if ANYBODYS.contains(&last) => Self::default(),
            last => Self::of_country(last),
        }
    }

    /// Fills what is not known here from elsewhere.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { language: self.language.or(other.language), country: self.country.or(other.country) }
    }

    /// Returns the language's code, in small letters.
    pub fn language(&self) -> Option<&str> {
        self.language.as_ref().and_then(|code| std::str::from_utf8(code).ok())
    }

    /// Returns the country's code, in capital letters.
    pub fn country(&self) -> Option<&str> {
        self.country.as_ref().and_then(|code| std::str::from_utf8(code).ok())
    }
}

fn two_letters(text: &str) -> Option<[u8; 2]> {
    <[u8; 2]>::try_from(text.as_bytes())
        .ok()
        .filter(|code| code.iter().all(u8::is_ascii_alphabetic))
}

fn lower(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

fn upper(byte: u8) -> u8 {
    byte.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_every_form_are_read() {
        let check = |tag: &str, language: Option<&str>, country: Option<&str>| {
            let locale = Locale::of_tag(tag);
            assert_eq!((locale.language(), locale.country()), (language, country), "{tag}");
        };
        check("en-US", Some("en"), Some("US"));
        check(" de_at ", Some("de"), Some("AT"));
        check("zh-Hant-TW", Some("zh"), Some("TW"));
        check("fr", Some("fr"), None);
        check("english", None, None);
        check("", None, None);
    }

    #[test]
    fn a_host_says_its_country_only_where_that_is_sure() {
        let check = |host: &str, expect: Option<&str>| {
            assert_eq!(Locale::of_host(host).country(), expect, "{host}");
        };
        check("jobs.example.co.uk", Some("GB"));
        check("jobs.example.de", Some("DE"));
        check("example.com", None);
        check("example.io", None);
        check("localhost", None);
        check("127.0.0.1", None);
    }
}
