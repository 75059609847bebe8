//! Objects of known fields as JSON the way Python writes it, without trees of values in between.

use std::io::Write;

use rhubarb_pyvalue::exact;
use serde_json::{Map, Value};

use crate::json::is_blank;

/// Something that has a form in JSON.
pub(crate) trait Json {
    /// Appends it.
    fn dump(&self, out: &mut Vec<u8>);

    /// Whether it says nothing, so that it gives way to what was kept aside: see [`Fields`].
    fn is_blank(&self) -> bool;
}

/// Returns the bytes of `json.dumps`.
pub(crate) fn dumps(value: &(impl Json + ?Sized)) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    value.dump(&mut out);
    out
}

/// Appends an object of known fields and, behind them, of those kept aside.
pub(crate) fn object(
    out: &mut Vec<u8>,
    other: &Map<String, Value>,
    known: impl FnOnce(&mut Fields<'_>),
) {
    out.push(b'{');
    let other = Some(other).filter(|other| !other.is_empty());
    let mut fields = Fields { out, other, written: Vec::new(), is_first: true };
    known(&mut fields);
    fields.put_others();
    out.push(b'}');
}

/// The fields of an object under way.
///
/// One of the same name that was kept aside takes the place of a known field that says nothing.
pub(crate) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    /// Those kept aside, as long as any are to be written.
    other: Option<&'a Map<String, Value>>,
    /// The known ones, if any were kept aside.
    written: Vec<&'static str>,
    is_first: bool,
}

impl Fields<'_> {
    /// Appends a field. Its name, as that of any known field, has nothing that would have to be
    /// escaped.
    pub(crate) fn put(&mut self, name: &'static str, value: &(impl Json + ?Sized)) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\": ");
        let Some(other) = self.other else { return value.dump(self.out) };
        self.written.push(name);
        match other.get(name) {
            Some(kept) if value.is_blank() => kept.dump(self.out),
            _ => value.dump(self.out),
        }
    }

    /// Appends a field unless it is absent.
    pub(crate) fn put_some(&mut self, name: &'static str, value: Option<&(impl Json + ?Sized)>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Appends a field behind those kept aside; it wins over one of its name.
    pub(crate) fn put_last(&mut self, name: &'static str, value: &(impl Json + ?Sized)) {
        self.written.push(name);
        self.put_others();
        self.put(name, value);
    }

    fn separate(&mut self) {
        if !self.is_first {
            self.out.extend_from_slice(b", ");
        }
        self.is_first = false;
    }

    fn put_others(&mut self) {
        for (name, value) in self.other.take().into_iter().flatten() {
            if !self.written.contains(&name.as_str()) {
                self.separate();
                name.dump(self.out);
                self.out.extend_from_slice(b": ");
                value.dump(self.out);
            }
        }
    }
}

fn list<'v>(out: &mut Vec<u8>, items: impl IntoIterator<Item = &'v (impl Json + 'v)>) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        item.dump(out);
    }
    out.push(b']');
}

impl Json for Value {
    fn dump(&self, out: &mut Vec<u8>) {
        exact::dump(out, self);
    }

    fn is_blank(&self) -> bool {
        is_blank(self)
    }
}

impl Json for Map<String, Value> {
    fn dump(&self, out: &mut Vec<u8>) {
        exact::dump_map(out, self);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Json> Json for [T] {
    fn dump(&self, out: &mut Vec<u8>) {
        list(out, self);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Json> Json for Option<T> {
    fn dump(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.dump(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn is_blank(&self) -> bool {
        self.as_ref().is_none_or(Json::is_blank)
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn dump(&self, out: &mut Vec<u8>) {
        (**self).dump(out);
    }

    fn is_blank(&self) -> bool {
        (**self).is_blank()
    }
}

impl Json for u64 {
    fn dump(&self, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = write!(out, "{self}");
    }

    fn is_blank(&self) -> bool {
        *self == 0
    }
}

impl Json for bool {
    fn dump(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn is_blank(&self) -> bool {
        !self
    }
}

impl Json for String {
    fn dump(&self, out: &mut Vec<u8>) {
        self.as_str().dump(out);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Json for str {
    fn dump(&self, out: &mut Vec<u8>) {
        exact::dump_text(out, self);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_says_nothing_gives_way_to_the_one_kept_aside() {
        let other = json!({"text": 5, "none": {}, "z": [1], "number": 7, "absent": "x"});
        let other = other.as_object().unwrap();
        let mut out = Vec::new();
        object(&mut out, other, |fields| {
            fields.put("text", "said");
            fields.put("none", &None::<String>);
            fields.put("number", &0_u64);
            fields.put("own", "");
            fields.put_some("absent", None::<&str>);
        });
        let expected =
            r#"{"text": "said", "none": {}, "number": 7, "own": "", "z": [1], "absent": "x"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_comes_last_stands_behind_what_was_kept_aside() {
        let check = |other: Value, expected: &str| {
            let mut out = Vec::new();
            object(&mut out, other.as_object().unwrap(), |fields| {
                fields.put("a", "1");
                fields.put_last("id", "");
            });
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(json!({}), r#"{"a": "1", "id": ""}"#);
        check(json!({"x": 2, "id": 7, "a": 3}), r#"{"a": "1", "x": 2, "id": ""}"#);
    }
}
