//! How the pages of a list follow each other: by links, or by numbers in the request's
//! placeholders.

use std::collections::BTreeSet;

use rhubarb_core::redact::Address;
use url::Url;

use crate::{
    page::{Content, Request},
    parsed::Parsed,
};

/// The request for a page of a list.
///
/// In the address and in the body stand for: `{keyword}` what is looked for, `{page}` the number of
/// the page, `{offset}` the rows before it, `{cursor}` what the page before said.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) url: Address,
    /// JSON that is sent by POST.
    pub(crate) body: Option<String>,
    pub(crate) kind: Content,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) page: u64,
    pub(crate) offset: u64,
    pub(crate) cursor: String,
}

/// A list's next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Link(Url),
    At(Position),
}

impl Template {
    /// Returns the request for a page.
    ///
    /// # Errors
    /// It makes no address.
    pub(crate) fn request(&self, keyword: &str, at: &Next) -> Result<Request, url::ParseError> {
        let url = match at {
            Next::Link(url) => url.clone(),
            Next::At(at) => Url::parse(&fill(self.url.expose(), keyword, at, &percent))?,
        };
        let body = self.body.as_ref().map(|body| match at {
            Next::At(at) => fill(body, keyword, at, &escaped),
            Next::Link(_) => fill(body, keyword, &Position::default(), &escaped),
        });
        let json = body.map(Into::into);
        Ok(Request { json, ..Request::get(url).kind(self.kind) })
    }

    fn names(&self, placeholder: &str) -> bool {
        let within = |text: &str| text.contains(placeholder);
        within(self.url.expose()) || self.body.as_deref().is_some_and(within)
    }
}

/// Replaces the placeholders in one pass: what is put in is never looked at again.
fn fill(template: &str, keyword: &str, at: &Position, encode: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let value = |name: &str| match name {
            "{keyword}" => Some(encode(keyword.trim())),
            "{page}" => Some(at.page.to_string()),
            "{offset}" => Some(at.offset.to_string()),
            "{cursor}" => Some(encode(&at.cursor)),
            _ => None,
        };
        let end = from.find('}').map_or(1, |end| end + 1);
        match value(&from[..end]) {
            Some(value) => {
                out.push_str(&value);
                rest = &from[end..];
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

/// "+" is a space in a query only; "%20" is one everywhere.
fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Returns the text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Where the reading of one list stands.
#[derive(Debug, Default)]
pub(crate) struct PageWalk {
    seen: BTreeSet<u64>,
    rows: u64,
    total: Option<u64>,
}

impl PageWalk {
    /// Takes a page into account and returns the next one.
    ///
    /// A page that brings nothing new ends the list: servers that clamp or ignore a number answer
    /// with the same rows for ever. The first total counts: later pages of some servers say 0.
    pub(crate) fn next(
        &mut self,
        template: &Template,
        at: &Next,
        page: &mut Parsed,
    ) -> Option<Next> {
        let rows = page.rows.unwrap_or(page.ids.len() + page.n_skipped) as u64;
        let news = page.ids.drain(..).filter(|id| self.seen.insert(*id)).count();
        if news == 0 {
            // The server has begun again.
            page.listings.clear();
            page.others = 0;
        }
        self.rows += rows;
        self.total = self.total.or(page.total.filter(|total| *total > 0));
        if let Some(next) = page.next.take() {
            return Some(Next::Link(next));
        }
        let Next::At(at) = at else { return None };
        let next = self.advance(template, at, page.cursor.take(), rows)?;
        let ended = rows == 0 || news == 0 || self.total.is_some_and(|total| self.rows >= total);
        (!ended).then_some(Next::At(next))
    }

    fn advance(
        &self,
        template: &Template,
        at: &Position,
        cursor: Option<String>,
        rows: u64,
    ) -> Option<Position> {
        let cursor = cursor.filter(|cursor| !cursor.is_empty() && *cursor != at.cursor);
        if template.names("{cursor}") {
            cursor.as_ref()?;
        } else if !template.names("{page}") && !template.names("{offset}") {
            return None;
        }
        let cursor = cursor.unwrap_or_default();
        Some(Position { page: at.page + 1, offset: at.offset + rows, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(url: &str, body: Option<&str>) -> Template {
        Template { url: url.into(), body: body.map(str::to_owned), kind: Content::Json }
    }

    fn at(page: u64, offset: u64, cursor: &str) -> Next {
        Next::At(Position { page, offset, cursor: cursor.to_owned() })
    }

    #[test]
    fn placeholders_are_filled_in_the_way_of_the_place_where_they_stand() {
        let of = template(
            "https://h.test/{keyword}?q={keyword}&p={page}&o={offset}&c={cursor}&x={other}",
            Some(r#"{"q":"{keyword}","offset":{offset},"in":{"cursor":"{cursor}"}}"#),
        );
        let request = of.request(" a \"b\"/{page} ", &at(2, 40, "x\\&")).unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://h.test/a%20%22b%22%2F%7Bpage%7D?q=a%20%22b%22%2F%7Bpage%7D\
             &p=2&o=40&c=x%5C%26&x={other}"
        );
        let body: serde_json::Value = serde_json::from_slice(&request.json.unwrap()).unwrap();
        let expect = serde_json::json!(
            {"q": "a \"b\"/{page}", "offset": 40, "in": {"cursor": "x\\&"}});
        assert_eq!(body, expect);
    }

    fn page(ids: &[u64], total: Option<u64>, cursor: Option<&str>) -> Parsed {
        let cursor = cursor.map(str::to_owned);
        Parsed { ids: ids.to_vec(), total, cursor, ..Parsed::default() }
    }

    #[test]
    fn a_list_goes_on_until_its_total_or_until_nothing_new_comes() {
        let of = template("https://h.test/?o={offset}", None);
        let mut list = PageWalk::default();
        let next = list.next(&of, &at(0, 0, ""), &mut page(&[1, 2], Some(5), None));
        assert_eq!(next, Some(at(1, 2, "")));
        // A later total of 0 is none.
        let next = list.next(&of, &next.unwrap(), &mut page(&[3, 4], Some(0), None));
        assert_eq!(next, Some(at(2, 4, "")));
        assert_eq!(list.next(&of, &next.unwrap(), &mut page(&[5], Some(5), None)), None);

        let mut clamped = PageWalk::default();
        let next = clamped.next(&of, &at(0, 0, ""), &mut page(&[1, 2], None, None)).unwrap();
        assert_eq!(clamped.next(&of, &next, &mut page(&[1, 2], None, None)), None);
        let mut empty = PageWalk::default();
        assert_eq!(empty.next(&of, &at(0, 0, ""), &mut page(&[], Some(3), None)), None);
    }

    #[test]
    fn a_cursor_leads_on_while_it_changes_and_a_plain_address_never() {
        let of = template("https://h.test/?c={cursor}", None);
        let mut list = PageWalk::default();
        let next = list.next(&of, &at(0, 0, ""), &mut page(&[1], None, Some("n"))).unwrap();
        assert_eq!(next, at(1, 1, "n"));
        assert_eq!(list.next(&of, &next, &mut page(&[2], None, Some("n"))), None);
        let plain = template("https://h.test/", None);
        let mut list = PageWalk::default();
        assert_eq!(list.next(&plain, &at(0, 0, ""), &mut page(&[1], Some(9), Some("n"))), None);
    }
}
