//! Groups: all members at once.

use rhubarb_wire::{memory, memory_of};
use serde_json::{Value, json};

use super::{
    CanvasError,
    freeze::flatten,
    options::{merge, take, take_text, text},
    part::{Part, PartKind, joined, memory_of_signature},
    results::Res,
    unroll::{Freeze, How, Unroll},
};

impl Unroll<'_> {
    /// Sends the members of a group. Where they report to a chord, the number of their reports is
    /// its size.
    pub(super) fn apply_group(&mut self, mut part: Part, how: How) -> Result<Res, CanvasError> {
        for name in ["link", "link_error"] {
            if how.options.get(name).is_some_and(|given| !given.is_null()) {
                return Err(CanvasError::LinkedGroup { name });
            }
        }
        let PartKind::Group(members) = &mut part.kind else { return Err(CanvasError::NoBody) };
        let mut members = flatten(std::mem::take(members));
        if members.is_empty() {
            return self.freeze_group(&mut part, Freeze::default());
        }
        let mut options = part.options;
        merge(&mut options, how.options);
        let group_id = take_text(&mut options, "task_id").unwrap_or_else(|| self.fresh_id());
        options.insert("group_id".to_owned(), json!(group_id));
        options.shift_remove("group_index");
        let chord = take(&mut options, "chord");
        let root_id = text(&options, "root_id");
        let freeze =
            Freeze { group_id: Some(&group_id), root_id: root_id.as_deref(), ..Freeze::default() };
        let results = self.freeze_members(&mut members, freeze)?;
        self.note_size(&group_id, &members, chord.as_ref());
        let args = joined(how.args, part.args);
        self.groups += 1;
        let copied = memory_of(&options)
            + memory_of(&how.kwargs)
            + args.iter().map(memory).sum::<usize>()
            + how.chain.iter().flatten().map(memory_of_signature).sum::<usize>();
        for member in members {
            let mut options = options.clone();
            let chord = chord.as_ref().or(member.options.get("chord"));
            // What a member is given is there until its message is made, which counts what is left
            // of it.
            let given = copied + chord.map_or(0, memory);
            self.spend(given)?;
            if let Some(chord) = chord {
                options.insert("chord".to_owned(), chord.clone());
            }
            let how = How {
                args: args.clone(),
                kwargs: how.kwargs.clone(),
                options,
                chain: how.chain.clone(),
            };
            self.apply(member, how)?;
            self.give_back(given);
        }
        self.groups -= 1;
        let result = self.group_result(&group_id, results);
        self.note_child(result);
        Ok(result)
    }

    /// The script that counts reports needs the size before the last of them, so it is set before
    /// the first.
    fn note_size(&mut self, group_id: &str, members: &[Part], chord: Option<&Value>) {
        let last_reports = members
            .last()
            .and_then(|last| last.options.get("chord"))
            .is_some_and(|chord| !chord.is_null());
        if chord.is_some() || last_reports {
            let size = members.iter().map(Part::size).sum();
            self.chord_sizes.push((group_id.to_owned(), size));
        }
    }

    /// A group of one chain that ends in a group is that group to its caller.
    fn group_result(&mut self, group_id: &str, results: Vec<Res>) -> Res {
        match results.as_slice() {
            [only] if self.results.members(*only).is_some() => *only,
            _ => self.results.group(group_id, results),
        }
    }
}
