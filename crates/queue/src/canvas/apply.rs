//! Sending a signature of any kind: what Celery's `apply_async` does.

use super::{
    CanvasError,
    options::{items, merge, take},
    part::{Part, PartKind, joined, signatures},
    results::Res,
    unroll::{How, Unroll},
};

impl Unroll<'_> {
    /// Sends a signature; gives what its caller waits for.
    pub(super) fn apply(&mut self, part: Part, how: How) -> Result<Option<Res>, CanvasError> {
        match part.kind {
            PartKind::Task => self.apply_task(part, how).map(Some),
            PartKind::Chain(_) => self.apply_chain(part, how),
            PartKind::Group(_) => self.apply_group(part, how).map(Some),
            PartKind::Chord(_) => self.apply_chord(part, how).map(Some),
        }
    }

    fn apply_task(&mut self, mut part: Part, how: How) -> Result<Res, CanvasError> {
        merge(&mut part.options, how.options);
        if !part.immutable {
            part.args = joined(how.args, part.args);
            part.kwargs.extend(how.kwargs);
        }
        let own = take(&mut part.options, "chain");
        let chain = match how.chain {
            Some(chain) => chain,
            None => signatures(items(own))?,
        };
        let sent = self.send(part, chain)?;
        self.note_child(sent);
        Ok(sent)
    }
}
