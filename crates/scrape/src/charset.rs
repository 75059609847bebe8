//! Bytes of the web to text: which charset they are in, and how to read them.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Where a declaration of the charset may stand. The HTML standard says 1,024 bytes; browsers look
/// further, and pages with long scripts in their head need it.
const PRESCAN_BYTES: usize = 64 * 1024;
/// As much as the detector looks at; more does not change its mind.
const DETECT_BYTES: usize = 256 * 1024;

/// Returns the text of `bytes`, with U+FFFD for what cannot be read.
///
/// The order is that of the HTML standard and of RFC 7303: byte order mark, `Content-Type`, what
/// the document declares, then a guess (to which the host's top level domain contributes). A
/// charset that does not fit the bytes yields to one that does; a few bad bytes in a text that fits
/// otherwise cost themselves only. UTF-8 that calls itself Latin-1 is UTF-8: servers add the one,
/// and no text in the other is valid UTF-8 by chance.
pub fn decode(bytes: &[u8], content_type: Option<&str>, domain: Option<&str>) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0.into_owned();
    }
    let said = [content_type.and_then(of_content_type), of_document(bytes)];
    let may_be_latin = |encoding: &'static Encoding| encoding.is_single_byte() || encoding == UTF_8;
    if said.into_iter().flatten().all(may_be_latin)
        && !looks_like_iso_2022(bytes)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.to_owned();
    }
    let mut lossy = None;
    for encoding in said.into_iter().flatten() {
        let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
        if !had_errors {
            return text.into_owned();
        }
        lossy = lossy.or_else(|| Some(text).filter(|text| fits_mostly(text)));
    }
    let guessed = || guess(bytes, domain).decode_without_bom_handling(bytes).0;
    lossy.unwrap_or_else(guessed).into_owned()
}

/// Tells whether what could be read of a text beyond ASCII is at least as much as what could not.
fn fits_mostly(text: &str) -> bool {
    let beyond = text.chars().filter(|c| !c.is_ascii()).count();
    let bad = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    bad * 2 <= beyond
}

/// Tells whether it has the escapes of a charset that hides its letters in ASCII.
fn looks_like_iso_2022(bytes: &[u8]) -> bool {
    find(bytes, b"\x1b$").is_some()
}

/// Returns the charset in a `Content-Type` header.
fn of_content_type(header: &str) -> Option<&'static Encoding> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.split(',').next()?.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("charset").then(|| of_label(value.as_bytes()))?
    })
}

/// Returns the charset of a label: one of the Encoding standard, or one that is seen beside it, as
/// databases and editors call it.
fn of_label(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label).or_else(|| {
        let plain = |byte: &&u8| byte.is_ascii_alphanumeric();
        let name: Vec<u8> = label.iter().filter(plain).map(u8::to_ascii_lowercase).collect();
        of_plain_name(std::str::from_utf8(&name).ok()?)
    })
}

/// Returns the charset of a label without its hyphens and the like: `utf8mb4`, `cp1251`, `latin1`.
fn of_plain_name(name: &str) -> Option<&'static Encoding> {
    let number = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let of_number = |form: &str| Encoding::for_label(format!("{form}{number}").as_bytes());
    match name.strip_suffix(number)? {
        "ansi" if number.is_empty() => Some(WINDOWS_1252),
        _ if name.starts_with("utf8") || name.starts_with("unicode11utf8") => Some(UTF_8),
        "cp" | "win" | "windows" | "ms" | "ansi" | "xcp" => match number {
            "932" => Some(encoding_rs::SHIFT_JIS),
            "936" => Some(encoding_rs::GBK),
            "949" => Some(encoding_rs::EUC_KR),
            "950" => Some(encoding_rs::BIG5),
            "65001" => Some(UTF_8),
            _ => of_number("windows-"),
        },
        "latin" if number.is_empty() => Some(WINDOWS_1252),
        "latin" | "isolatin" => of_number("latin"),
        "iso" => {
            let part = number.strip_prefix("8859").filter(|part| !part.is_empty())?;
            Encoding::for_label(format!("iso-8859-{part}").as_bytes())
        }
        "koi" => Some(encoding_rs::KOI8_R),
        "sjis" | "shiftjis" => Some(encoding_rs::SHIFT_JIS),
        "eucjp" => Some(encoding_rs::EUC_JP),
        "euckr" => Some(encoding_rs::EUC_KR),
        "gb" | "gbk" | "euccn" => Some(encoding_rs::GBK),
        "big" => Some(encoding_rs::BIG5),
        _ => None,
    }
}

/// Returns the charset that an XML declaration or a `meta` tag names, or that zero bytes give away.
fn of_document(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0, low, ..] if *low != 0 => return Some(UTF_16BE),
        [low, 0, ..] if *low != 0 => return Some(UTF_16LE),
        _ => {}
    }
    let head = bytes[..bytes.len().min(PRESCAN_BYTES)].to_ascii_lowercase();
    let label = of_xml_declaration(&head).or_else(|| of_meta(&head))?;
    let encoding = of_label(label)?;
    // A declaration that could be read as ASCII is not in UTF-16, and `x-user-defined` means
    // windows-1252: HTML standard, 13.2.3.2.
    match encoding {
        e if e == UTF_16BE || e == UTF_16LE => Some(UTF_8),
        e if e == encoding_rs::X_USER_DEFINED => Some(WINDOWS_1252),
        e => Some(e),
    }
}

/// Returns the label in `<?xml … encoding="label"?>`.
fn of_xml_declaration(head: &[u8]) -> Option<&[u8]> {
    let declaration = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = find(declaration, b"?>")?;
    value_of(&declaration[..end], b"encoding")
}

/// Returns the label in `<meta charset=label>` or `<meta … content="…; charset=label">`.
fn of_meta(head: &[u8]) -> Option<&[u8]> {
    let mut rest = head;
    while let Some(at) = find(rest, b"<") {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            rest = &rest[find(rest, b"-->")?..];
        } else if rest.starts_with(b"<meta") {
            // Without an end there is none behind it either, and looking again would take long.
            let end = find(rest, b">")?;
            if let Some(label) = value_of(&rest[..end], b"charset") {
                return Some(label);
            }
        }
        rest = &rest[1..];
    }
    None
}

/// Returns the value after `name =` in a tag, without quotes.
fn value_of<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = tag;
    while let Some(at) = find(rest, name) {
        rest = &rest[at + name.len()..];
        if let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
            let end = value.iter().position(|b| b"\"'; \t\r\n/>".contains(b));
            return Some(&value[..end.unwrap_or(value.len())]);
        }
    }
    None
}

/// Returns what the bytes look like.
fn guess(bytes: &[u8], domain: Option<&str>) -> &'static Encoding {
    let head = &bytes[..bytes.len().min(DETECT_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, head.len() == bytes.len());
    // The detector panics on anything but a lower-case ASCII label.
    let top_level = domain
        .and_then(|d| d.rsplit('.').next())
        .filter(|label| {
            label.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
        })
        .filter(|label| !label.is_empty());
    // What is UTF-8 was taken for it before; a text that breaks off inside a letter is not told.
    let is_cut = |text: &[u8]| std::str::from_utf8(text).is_err_and(|e| e.error_len().is_none());
    if is_cut(bytes) && bytes.len() > 3 && !bytes[..bytes.len() - 3].is_ascii() {
        return UTF_8;
    }
    detector.guess(top_level.map(str::as_bytes), Utf8Detection::Allow)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUSSIAN: &str = "Разработчик программного обеспечения, удалённая работа, Москва";
    const JAPANESE: &str = "ソフトウェアエンジニア（東京）を募集しています。経験者歓迎。";
    const FRENCH: &str =
        "Développeur expérimenté à Orléans, rémunération élevée, poste créé cet été";

    fn encode(text: &str, label: &str) -> Vec<u8> {
        let (bytes, encoding, lossy) = Encoding::for_label(label.as_bytes()).unwrap().encode(text);
        assert!(!lossy, "{text} cannot be written in {}", encoding.name());
        bytes.into_owned()
    }

    #[test]
    fn the_header_names_the_charset() {
        for (text, label) in [
            (RUSSIAN, "koi8-r"),
            (RUSSIAN, "windows-1251"),
            (JAPANESE, "shift_jis"),
            (FRENCH, "iso-8859-1"),
            (JAPANESE, "utf-8"),
        ] {
            let header = format!("text/html; Charset=\"{label}\"");
            assert_eq!(decode(&encode(text, label), Some(&header), None), text, "{label}");
        }
    }

    #[test]
    fn the_document_names_the_charset() {
        let check = |start: &str, text: &str, label: &str| {
            let document = format!("{start}{text}");
            assert_eq!(decode(&encode(&document, label), Some("text/html"), None), document);
        };
        check("<?xml version='1.0' encoding='KOI8-R'?>", RUSSIAN, "koi8-r");
        check("<html><head><META charset=Shift_JIS>", JAPANESE, "shift_jis");
        check(
            "<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>",
            RUSSIAN,
            "windows-1251",
        );
        check("<!-- <meta charset=utf-8> --><meta charset = 'iso-8859-1'>", FRENCH, "iso-8859-1");
        check("<meta charset=utf-16>", FRENCH, "utf-8");
    }

    #[test]
    fn without_a_declaration_the_bytes_are_looked_at() {
        for (text, label) in [
            (RUSSIAN, "koi8-r"),
            (RUSSIAN, "windows-1251"),
            (JAPANESE, "shift_jis"),
            (FRENCH, "iso-8859-1"),
            (FRENCH, "utf-8"),
        ] {
            assert_eq!(decode(&encode(text, label), None, None), text, "{label}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_above_all() {
        let utf16: Vec<u8> = std::iter::once(0xFEFF)
            .chain(RUSSIAN.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&utf16, Some("text/html; charset=utf-8"), None), RUSSIAN);
        let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&utf16, None, None), "<a/>");
    }

    #[test]
    fn a_charset_that_does_not_fit_yields_to_one_that_does() {
        let document = format!("<meta charset=windows-1251>{RUSSIAN}");
        let bytes = encode(&document, "windows-1251");
        assert_eq!(decode(&bytes, Some("text/html; charset=utf-8"), None), document);
    }

    #[test]
    fn a_wrong_declaration_yields_to_what_the_bytes_are() {
        let check = |bytes: &[u8], header: Option<&str>, expect: &str| {
            assert_eq!(decode(bytes, header, None), expect, "{header:?}");
        };
        let utf8 = Some("text/html; charset=utf-8");
        check(&encode(FRENCH, "iso-8859-1"), utf8, FRENCH);
        check(&encode(RUSSIAN, "windows-1251"), utf8, RUSSIAN);
        check(&encode(JAPANESE, "shift_jis"), utf8, JAPANESE);
        let declared =
            |label: &str| format!("<?xml version='1.0' encoding='{label}'?><a>{FRENCH}</a>");
        check(&encode(&declared("utf-8"), "windows-1252"), utf8, &declared("utf-8"));
        check(&encode(&declared("utf-8"), "windows-1252"), None, &declared("utf-8"));
        for latin in ["iso-8859-1", "windows-1252", "us-ascii", "latin1", "iso-8859-15"] {
            let header = format!("text/html; charset={latin}");
            check(FRENCH.as_bytes(), Some(&header), FRENCH);
            check(JAPANESE.as_bytes(), Some(&header), JAPANESE);
            check(declared("utf-8").as_bytes(), Some(&header), &declared("utf-8"));
        }
        check("<meta charset=iso-8859-1>Café".as_bytes(), None, "<meta charset=iso-8859-1>Café");
        check(b"Z\xfcrich", utf8, "Zürich");
    }

    #[test]
    fn a_bad_byte_costs_itself_only() {
        let check = |bytes: &[u8], expect: &str| {
            assert_eq!(decode(bytes, Some("text/html; charset=utf-8"), None), expect);
        };
        check("Größe \u{1F980} Prüfer".as_bytes(), "Größe \u{1F980} Prüfer");
        check(b"Gr\xc3\xb6\xc3\x9fe Pr\xfcfer", "Größe Pr\u{FFFD}fer");
        let crab = "Größe der Krabbe \u{1F980}".as_bytes();
        check(&crab[..crab.len() - 1], "Größe der Krabbe \u{FFFD}");
    }

    #[test]
    fn labels_of_databases_and_editors_are_known() {
        let check = |label: &str, text: &str, encoding: &str| {
            let header = format!("text/html; charset={label}");
            assert_eq!(decode(&encode(text, encoding), Some(&header), None), text, "{label}");
        };
        for label in
            ["utf8mb4", "UTF8MB3", "utf_8", "utf8_general_ci", "UTF-8, text/html", "cp65001"]
        {
            check(label, JAPANESE, "utf-8");
        }
        for label in ["cp1251", "win-1251", "Windows1251", "ansi-1251", "cp-1251"] {
            check(label, "Повар", "windows-1251");
        }
        for label in ["latin-1", "ISO8859_1", "iso_8859-1", "ISO 8859-1", "iso-latin-1", "ansi"] {
            check(label, "Zürich, café", "iso-8859-1");
        }
        check("MS932", "東京", "shift_jis");
        check("cp949", "서울", "euc-kr");
        check("koi8r", "Повар", "koi8-r");
        assert!(of_label(b"none").is_none() && of_label(b"").is_none());
        assert!(of_label(b"99999999999999").is_none() && of_label(b"iso8859").is_none());
    }

    #[test]
    fn a_declaration_late_in_a_long_head_is_found() {
        let filler = "<script>var a = '<b>';</script>".repeat(500);
        let document = format!("<head>{filler}<meta charset='windows-1251'>{RUSSIAN}");
        assert_eq!(decode(&encode(&document, "windows-1251"), Some("text/html"), None), document);
    }

    #[test]
    fn tags_without_an_end_take_no_longer_than_their_length() {
        let begun = std::time::Instant::now();
        for piece in ["<meta ", "<meta charset", "<!-- <", "<meta charset=x <"] {
            decode(piece.repeat(200_000).as_bytes(), None, None);
        }
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_header_panic(bytes: Vec<u8>, header: Option<String>, domain: Option<String>) {
            decode(&bytes, header.as_deref(), domain.as_deref());
        }

        #[test]
        fn no_declaration_panics(tail in "[<>!a-z=\"' -]{0,60}") {
            decode(format!("<?xml{tail}").as_bytes(), None, None);
            decode(format!("<meta {tail}").as_bytes(), None, None);
            decode(format!("<!--{tail}").as_bytes(), None, None);
        }
    }
}
