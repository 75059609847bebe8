//! Giving ids to a signature, and to all that follows from it, before it is sent.

use rhubarb_wire::memory;
use serde_json::json;

use super::{
    CanvasError,
    options::text,
    part::{Chord, Part, PartKind},
    results::Res,
    unroll::{Freeze, Prepare, Unroll},
};

impl Unroll<'_> {
    /// Gives ids, in place.
    pub(super) fn freeze(&mut self, part: &mut Part, as_: Freeze<'_>) -> Result<Res, CanvasError> {
        match &mut part.kind {
            PartKind::Task => self.freeze_task(part, as_),
            PartKind::Chain(_) => self.freeze_chain(part, as_),
            PartKind::Group(_) => self.freeze_group(part, as_),
            PartKind::Chord(_) => self.freeze_chord(part, as_),
        }
    }

    fn freeze_task(&mut self, part: &mut Part, as_: Freeze<'_>) -> Result<Res, CanvasError> {
        let id = text(&part.options, "task_id");
        let id = id.unwrap_or_else(|| as_.id.map_or_else(|| self.fresh_id(), str::to_owned));
        let options = &mut part.options;
        options.insert("task_id".to_owned(), json!(id));
        if let Some(root_id) = as_.root_id {
            options.insert("root_id".to_owned(), json!(root_id));
        }
        if let Some(parent_id) = as_.parent_id {
            options.insert("parent_id".to_owned(), json!(parent_id));
        }
        let reply_to = self.publisher.reply_to;
        options.entry("reply_to").or_insert_with(|| json!(reply_to));
        if let Some(group_id) = as_.group_id {
            options.entry("group_id").or_insert_with(|| json!(group_id));
        }
        if let Some(chord) = as_.chord {
            self.spend(memory(chord))?;
            options.insert("chord".to_owned(), chord.clone());
        }
        if let Some(index) = as_.group_index {
            options.insert("group_index".to_owned(), json!(index));
        }
        Ok(self.results.task(&id))
    }

    /// A chain's id is that of its last step. Its steps become those that a worker would make of
    /// them.
    fn freeze_chain(&mut self, part: &mut Part, as_: Freeze<'_>) -> Result<Res, CanvasError> {
        let PartKind::Chain(steps) = &mut part.kind else { return Err(CanvasError::EmptyChain) };
        let prepare =
            Prepare { args: std::mem::take(&mut part.args), last: as_, ..Prepare::default() };
        let (mut reversed, last) = self.prepare(std::mem::take(steps), prepare)?;
        reversed.reverse();
        *steps = reversed;
        let last = last.ok_or(CanvasError::EmptyChain)?;
        part.options.insert("task_id".to_owned(), json!(self.results.id(last)));
        Ok(last)
    }

    /// Flattens and freezes a group; its members report to the chord that the group reports to.
    pub(super) fn freeze_group(
        &mut self,
        part: &mut Part,
        as_: Freeze<'_>,
    ) -> Result<Res, CanvasError> {
        let PartKind::Group(members) = &mut part.kind else { return Err(CanvasError::NoBody) };
        let options = &mut part.options;
        let id = text(options, "task_id").unwrap_or_else(|| self.fresh_id());
        options.insert("task_id".to_owned(), json!(id));
        if let Some(group_id) = as_.group_id {
            options.insert("group_id".to_owned(), json!(group_id));
        }
        if let Some(chord) = as_.chord {
            self.spend(memory(chord))?;
            options.insert("chord".to_owned(), chord.clone());
        }
        if let Some(index) = as_.group_index {
            options.insert("group_index".to_owned(), json!(index));
        }
        options.entry("root_id").or_insert_with(|| json!(as_.root_id));
        options.entry("parent_id").or_insert_with(|| json!(as_.parent_id));
        let (root_id, parent_id) = (text(options, "root_id"), text(options, "parent_id"));
        let inherited = Freeze {
            id: None,
            group_id: as_.group_id,
            chord: as_.chord,
            root_id: root_id.as_deref(),
            parent_id: parent_id.as_deref(),
            group_index: None,
            sent_next: as_.sent_next,
        };
        *members = flatten(std::mem::take(members));
        let results = self.freeze_members(members, inherited)?;
        Ok(self.results.group(&id, results))
    }

    /// Freezes members, each with its place.
    pub(super) fn freeze_members(
        &mut self,
        members: &mut [Part],
        as_: Freeze<'_>,
    ) -> Result<Vec<Res>, CanvasError> {
        let freeze = |(index, member): (usize, &mut Part)| {
            let later = as_.sent_next && matches!(member.kind, PartKind::Task);
            let chord = as_.chord.filter(|_| !later);
            let own = Freeze { chord, group_index: Some(index), sent_next: false, ..as_ };
            self.freeze(member, own)
        };
        members.iter_mut().enumerate().map(freeze).collect()
    }

    /// The header waits inside the chord: its tasks are given the body when they are sent, not now,
    /// or each level of nesting would multiply the message.
    fn freeze_chord(&mut self, part: &mut Part, as_: Freeze<'_>) -> Result<Res, CanvasError> {
        let PartKind::Chord(chord) = &mut part.kind else { return Err(CanvasError::NoBody) };
        let Chord { header, header_options, body } = &mut **chord;
        header.iter_mut().for_each(forget_chord);
        let mut group =
            Part::group(std::mem::take(header), header_options.take().unwrap_or_default());
        let parent = Freeze { root_id: as_.root_id, parent_id: as_.parent_id, ..Freeze::default() };
        let header_result = self.freeze_group(&mut group, parent)?;
        group.options.shift_remove("chord");
        if let PartKind::Group(members) = group.kind {
            *header = members;
        }
        *header_options = Some(group.options);
        let id = self.results.id(header_result).to_owned();
        part.options.insert("task_id".to_owned(), json!(id));
        let body = body.as_mut().ok_or(CanvasError::NoBody)?;
        let result = self.freeze(body, Freeze { parent_id: None, ..as_ })?;
        let root = self.results.root(result);
        self.results.set_parent(root, Some(header_result));
        Ok(result)
    }
}

/// The members of groups inside a group are the group's; chains without steps are nobody.
pub(super) fn flatten(members: Vec<Part>) -> Vec<Part> {
    let mut flat = Vec::with_capacity(members.len());
    for member in members {
        match member.kind {
            PartKind::Group(inner) => flat.extend(flatten(inner)),
            _ if member.is_empty_chain() => {}
            _ => flat.push(member),
        }
    }
    flat
}

/// Takes a chord that an earlier freezing left on the ends of a signature.
fn forget_chord(part: &mut Part) {
    part.options.shift_remove("chord");
    match &mut part.kind {
        PartKind::Task => {}
        PartKind::Group(members) => members.iter_mut().for_each(forget_chord),
        PartKind::Chain(steps) => {
            if let Some(last) = steps.last_mut() {
                forget_chord(last);
            }
        }
        PartKind::Chord(chord) => {
            if let Some(body) = &mut chord.body {
                forget_chord(body);
            }
        }
    }
}
