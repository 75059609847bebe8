//! Bytes of the web to text: which charset they are in, and how to read them.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Where a declaration of the charset may stand. The HTML standard says 1,024 bytes; pages exceed
/// it.
const PRESCAN_BYTES: usize = 4096;
/// As much as the detector looks at; more does not change its mind.
const DETECT_BYTES: usize = 256 * 1024;

/// Returns the text of `bytes`, with U+FFFD for what cannot be read.
///
/// The order is that of the HTML standard and of RFC 7303: byte order mark, `Content-Type`, what
/// the document declares, then a guess (to which the host's top level domain contributes). A
/// charset that does not fit the bytes yields to a later one that does.
pub fn decode(bytes: &[u8], content_type: Option<&str>, domain: Option<&str>) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0.into_owned();
    }
    let said = [content_type.and_then(of_content_type), of_document(bytes)];
    let mut lossy = None;
    for encoding in said.into_iter().flatten() {
        let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
        if !had_errors {
            return text.into_owned();
        }
        lossy.get_or_insert_with(|| text.into_owned());
    }
    lossy.unwrap_or_else(|| guess(bytes, domain).decode_without_bom_handling(bytes).0.into_owned())
}

/// Returns the charset in a `Content-Type` header.
fn of_content_type(header: &str) -> Option<&'static Encoding> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| Encoding::for_label(value.as_bytes()))?
    })
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
    let encoding = Encoding::for_label(label)?;
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
            let end = find(rest, b">").unwrap_or(rest.len());
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
    detector.guess(top_level.map(str::as_bytes), Utf8Detection::Allow)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
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
