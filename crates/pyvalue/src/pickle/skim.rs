//! One value of a pickle that cannot be read whole: classes that are not data are stepped over, and
//! nothing is made of them.

use std::borrow::Cow;

use super::{
    opcode as op,
    read::Machine,
    value::{Id, Node},
};
use crate::{error::FormatError, value::PyValue};

/// Returns the text or the digits that the dict which a pickle is has for a key, whatever else it
/// holds; `None` where there is no such key, or something else in its place.
///
/// # Errors
/// `Unsupported` when the pickle is no dict, `Malformed` when Python could not load it either,
/// `TooLarge` when a cap was passed.
pub fn text_of(bytes: &[u8], key: &str) -> Result<Option<String>, FormatError> {
    let mut machine = Machine::new(bytes);
    machine.is_skimming = true;
    let top = machine.run()?;
    let Node::Dict { pairs, .. } = machine.node(top) else {
        return Err(FormatError::unsupported("what is no dict"));
    };
    let is_key = |id: Id| matches!(machine.node(id), Node::Str(text) if text == key);
    let last = pairs.iter().rev().find(|(id, _)| is_key(*id));
    Ok(last.and_then(|(_, value)| match machine.node(*value) {
        Node::Str(text) => Some(text.clone().into_owned()),
        Node::Value(PyValue::Int(int)) => Some(int.to_string()),
        _ => None,
    }))
}

impl<'a> Machine<'a> {
    /// Does what an opcode does to the stack where a class, a call or odd text is concerned; false
    /// for all others.
    pub(super) fn step_over(&mut self, code: u8) -> Result<bool, FormatError> {
        match code {
            op::SHORT_BINUNICODE => self.any_text(1)?,
            op::BINUNICODE => self.any_text(4)?,
            op::BINUNICODE8 => self.any_text(8)?,
            op::GLOBAL => {
                self.input.line()?;
                self.input.line()?;
                self.push(Node::Foreign)?;
            }
            op::INST => {
                self.input.line()?;
                self.input.line()?;
                self.pop_mark()?;
                self.push(Node::Foreign)?;
            }
            op::OBJ => {
                self.pop_mark()?;
                self.push(Node::Foreign)?;
            }
            op::STACK_GLOBAL | op::REDUCE | op::NEWOBJ => self.made_of(2)?,
            op::NEWOBJ_EX => self.made_of(3)?,
            op::BINPERSID => self.made_of(1)?,
            op::PERSID => {
                self.input.line()?;
                self.push(Node::Foreign)?;
            }
            op::EXT1 => self.registered(1)?,
            op::EXT2 => self.registered(2)?,
            op::EXT4 => self.registered(4)?,
            op::NEXT_BUFFER => self.push(Node::Foreign)?,
            op::READONLY_BUFFER => {}
            op::BUILD => {
                self.pop()?;
            }
            op::APPEND | op::SETITEM | op::APPENDS | op::ADDITEMS | op::SETITEMS => {
                return self.fill(code);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Text as it is; what is no Unicode text is no key that anybody asks for.
    fn any_text(&mut self, width: usize) -> Result<(), FormatError> {
        let bytes = self.input.counted(width)?;
        let text = std::str::from_utf8(bytes);
        self.push(text.map_or(Node::Foreign, |text| Node::Str(Cow::Borrowed(text))))
    }

    fn made_of(&mut self, parts: usize) -> Result<(), FormatError> {
        self.pop_many(parts)?;
        self.push(Node::Foreign)
    }

    fn registered(&mut self, width: usize) -> Result<(), FormatError> {
        self.input.take(width)?;
        self.push(Node::Foreign)
    }

    /// Puts items into what holds them, and drops those of an object.
    fn fill(&mut self, code: u8) -> Result<bool, FormatError> {
        let items = match code {
            op::APPEND => self.pop_many(1)?,
            op::SETITEM => self.pop_many(2)?,
            _ => self.pop_mark()?,
        };
        let is_dict = matches!(code, op::SETITEM | op::SETITEMS);
        match (self.node(self.top()?), is_dict) {
            (Node::Dict { .. }, true) => self.insert(&items)?,
            (Node::List(_) | Node::Set(_), false) => self.extend(items)?,
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"imp": {"_auth_user_id": "5"}, "_auth_user_id": "77", "x": Fraction(1, 3)}` of CPython
    /// 3.11, protocols 4 and 2.
    const FOUR: &[u8] = b"\x80\x04\x95N\0\0\0\0\0\0\0}\x94(\x8c\x03imp\x94}\x94\x8c\r_auth_user_id\x94\x8c\x015\x94sh\x03\x8c\x0277\x94\x8c\x01x\x94\x8c\tfractions\x94\x8c\x08Fraction\x94\x93\x94K\x01K\x03\x86\x94R\x94u.";
    const TWO: &[u8] = b"\x80\x02}q\0(X\x03\0\0\0impq\x01}q\x02X\r\0\0\0_auth_user_idq\x03X\x01\0\0\x005q\x04sh\x03X\x02\0\0\x0077q\x05X\x01\0\0\0xq\x06cfractions\nFraction\nq\x07K\x01K\x03\x86q\x08Rq\tu.";

    fn user(pickle: &[u8]) -> Result<Option<String>, FormatError> {
        text_of(pickle, "_auth_user_id")
    }

    #[test]
    fn only_the_outer_dicts_own_key_counts_whatever_else_there_is() {
        let seven = Some("7".to_owned());
        for pickle in [FOUR, TWO] {
            assert_eq!(user(pickle).unwrap().as_deref(), Some("77"));
        }
        // {"s": "\ud800", "_auth_user_id": "7"}, and objects by the older opcodes and by state.
        let table: [&[u8]; 5] = [
            b"\x80\x04}\x94(\x8c\x01s\x94\x8c\x03\xed\xa0\x80\x94\x8c\r_auth_user_id\x94\x8c\x017\x94u.",
            b"}(\x8c\x01a(ia\nB\n\x8c\r_auth_user_id\x8c\x017u.",
            b"}(\x8c\x01a(ca\nB\nK\x01o\x8c\r_auth_user_id\x8c\x017u.",
            b"}(\x8c\x01aca\nB\n)\x81}\x8c\r_auth_user_id\x8c\x015sb\x8c\r_auth_user_id\x8c\x017u.",
            b"}(\x8c\x01aca\nB\n)R(\x8c\r_auth_user_id\x8c\x015u\x8c\r_auth_user_id\x8c\x017u.",
        ];
        for pickle in table {
            assert_eq!(user(pickle).unwrap(), seven, "{}", pickle.escape_ascii());
        }
        assert_eq!(user(b"}(\x8c\x01xca\nB\nu.").unwrap(), None);
        assert!(user(b"ca\nB\n.").is_err());
    }

    #[test]
    fn a_cut_pickle_is_an_error() {
        for cut in 0..FOUR.len() {
            assert!(user(&FOUR[..cut]).is_err(), "{cut}");
        }
    }
}
