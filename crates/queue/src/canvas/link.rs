//! Adding what follows a success (`link`) or a failure (`link_error`) to a signature of any kind.

use rhubarb_wire::memory;
use serde_json::Value;

use super::{
    CanvasError,
    options::{Options, items, take},
    part::{Part, PartKind},
    unroll::Unroll,
};

impl Unroll<'_> {
    /// Links a callback: a chord's goes to its body, a group's to its first member, without that
    /// member's result.
    pub(super) fn link(&mut self, part: &mut Part, callback: &Value) -> Result<(), CanvasError> {
        match &mut part.kind {
            PartKind::Chord(chord) => match &mut chord.body {
                Some(body) => self.link(body, callback),
                None => Err(CanvasError::NoBody),
            },
            PartKind::Group(members) => match members.first_mut() {
                Some(first) => self.link(first, &immutable(callback.clone())),
                None => self.append(&mut part.options, "link", callback),
            },
            PartKind::Task | PartKind::Chain(_) => self.append(&mut part.options, "link", callback),
        }
    }

    /// Links an errback: a group's goes to each member, a chord's to its body and to the chords in
    /// its header.
    pub(super) fn link_error(
        &mut self,
        part: &mut Part,
        errback: &Value,
    ) -> Result<(), CanvasError> {
        match &mut part.kind {
            PartKind::Chord(chord) => {
                for member in &mut chord.header {
                    if matches!(member.kind, PartKind::Chord(_)) {
                        self.link_error(member, errback)?;
                    }
                }
                chord.body.as_mut().map_or(Ok(()), |body| self.link_error(body, errback))
            }
            PartKind::Group(members) => {
                members.iter_mut().try_for_each(|member| self.link_error(member, errback))
            }
            PartKind::Task | PartKind::Chain(_) => {
                self.append(&mut part.options, "link_error", errback)
            }
        }
    }

    /// Moves a chord's callbacks from its options to its body; the header must not have them.
    pub(super) fn add_body_callbacks(
        &mut self,
        body: &mut Part,
        options: &mut Options,
    ) -> Result<(), CanvasError> {
        for callback in items(take(options, "link")) {
            self.link(body, &callback)?;
        }
        for errback in items(take(options, "link_error")) {
            if matches!(body.kind, PartKind::Group(_)) {
                self.link_error_to_members(body, &errback, true)?;
            } else {
                self.append(&mut body.options, "link_error", &errback)?;
            }
        }
        Ok(())
    }

    /// A group's own `link_error` replaces its members' when it runs, so where it has one the
    /// errback joins it.
    fn link_error_to_members(
        &mut self,
        part: &mut Part,
        errback: &Value,
        runs_as_group: bool,
    ) -> Result<(), CanvasError> {
        let own = part.options.get("link_error").is_some_and(|own| !own.is_null());
        match &mut part.kind {
            PartKind::Group(_) if runs_as_group && own => {
                self.append(&mut part.options, "link_error", errback)
            }
            PartKind::Group(members) => members
                .iter_mut()
                .try_for_each(|member| self.link_error_to_members(member, errback, false)),
            PartKind::Chord(chord) => match &mut chord.body {
                Some(body) => self.link_error_to_members(body, errback, true),
                None => Ok(()),
            },
            PartKind::Task | PartKind::Chain(_) => {
                self.append(&mut part.options, "link_error", errback)
            }
        }
    }

    /// Adds to an option that is a list, unless it is in it.
    fn append(
        &mut self,
        options: &mut Options,
        key: &'static str,
        value: &Value,
    ) -> Result<(), CanvasError> {
        self.spend(memory(value))?;
        let mut list = items(options.shift_remove(key));
        if !list.contains(value) {
            list.push(value.clone());
        }
        options.insert(key.to_owned(), Value::Array(list));
        Ok(())
    }
}

fn immutable(mut callback: Value) -> Value {
    if let Value::Object(map) = &mut callback {
        map.insert("immutable".to_owned(), Value::Bool(true));
    }
    callback
}
