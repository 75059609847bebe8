//! Chains: from steps as they are written to steps as they are sent, last one first.

use std::collections::VecDeque;

use rhubarb_wire::Signature;
use serde_json::{Map, Value, json};

use super::{
    CanvasError, MAX_DEPTH,
    options::{self, items, merge, take, take_text},
    part::{Part, PartKind, joined, signatures},
    results::Res,
    unroll::{Freeze, How, Prepare, Unroll},
};

/// Steps that are frozen already, from the end of the chain.
#[derive(Debug, Default)]
struct Done {
    steps: Vec<(Part, Res)>,
    /// The result that the next step frozen is the parent of.
    open: Option<Res>,
    last: Option<Res>,
}

impl Unroll<'_> {
    /// Sends a chain: its first step, with the rest as what follows.
    pub(super) fn apply_chain(
        &mut self,
        mut part: Part,
        how: How,
    ) -> Result<Option<Res>, CanvasError> {
        let own = std::mem::take(&mut part.args);
        // Whether the chain itself is immutable is lost in Celery when a message is read: its first
        // step tells.
        let args = joined(how.args, own);
        let mut options = part.options;
        options::overlay(&mut options, how.options);
        let texts = ["task_id", "group_id", "root_id"].map(|key| take_text(&mut options, key));
        let chord = take(&mut options, "chord");
        let index = take(&mut options, "group_index").and_then(|index| index.as_u64());
        options.shift_remove("parent_id");
        let links = items(take(&mut options, "link"));
        let prepare = Prepare {
            args,
            kwargs: how.kwargs,
            last: Freeze {
                id: texts[0].as_deref(),
                group_id: texts[1].as_deref(),
                chord: chord.as_ref(),
                root_id: texts[2].as_deref(),
                parent_id: None,
                sent_next: false,
                group_index: index.and_then(|index| usize::try_from(index).ok()),
            },
            errbacks: items(take(&mut options, "link_error")),
        };
        let PartKind::Chain(steps) = part.kind else { return Ok(None) };
        let (mut steps, last) = self.prepare(steps, prepare)?;
        if let Some(end) = steps.first_mut() {
            let mut all = items(end.options.shift_remove("link"));
            all.extend(links);
            if !all.is_empty() {
                end.options.insert("link".to_owned(), Value::Array(all));
            }
        }
        let Some(first) = steps.pop() else { return Ok(None) };
        let rest = self.rest(how.chain, take(&mut options, "chain"), steps)?;
        let alone = rest.1;
        let sent = self.apply(first, How { options, chain: rest.0, ..How::default() })?;
        Ok(if alone { sent } else { last })
    }

    /// What follows the first step: the chain's own steps before what follows the chain. Tells too
    /// whether it has none of its own.
    fn rest(
        &mut self,
        given: Option<Vec<Signature>>,
        option: Option<Value>,
        steps: Vec<Part>,
    ) -> Result<(Option<Vec<Signature>>, bool), CanvasError> {
        let alone = steps.is_empty();
        let mut rest = match given {
            Some(given) => given,
            None => signatures(items(option))?,
        };
        rest.extend(steps.into_iter().map(Part::into_signature));
        Ok((Some(rest).filter(|rest| !rest.is_empty()), alone))
    }

    /// Freezes the steps of a chain and links their results; gives the steps last one first, and
    /// the chain's result.
    ///
    /// Chains inside are spliced in, groups of one are their member, empty groups are left out, and
    /// a group that is followed by anything becomes a chord with it.
    pub(super) fn prepare(
        &mut self,
        steps: Vec<Part>,
        mut with: Prepare<'_>,
    ) -> Result<(Vec<Part>, Option<Res>), CanvasError> {
        let mut steps = VecDeque::from(steps);
        self.settle_head(&mut steps)?;
        let mut done = Done::default();
        while let Some(step) = steps.pop_back() {
            let step = step.single();
            if step.is_empty_group() && (!steps.is_empty() || !done.steps.is_empty()) {
                continue;
            }
            let Some(mut step) = self.spliced(step, &mut steps)? else { continue };
            if steps.is_empty() {
                give(&mut step, std::mem::take(&mut with.args), std::mem::take(&mut with.kwargs));
            }
            let step = self.upgraded(step, &mut done, with.last.root_id)?;
            self.finish_step(step, &mut done, &with)?;
        }
        let last = done.last;
        Ok((done.steps.into_iter().map(|(step, _)| step).collect(), last))
    }

    /// Makes the first step one that takes arguments: neither a chain nor a group without members,
    /// if it can be helped.
    fn settle_head(&mut self, steps: &mut VecDeque<Part>) -> Result<(), CanvasError> {
        let mut left_out = None;
        while let Some(head) = steps.pop_front() {
            let head = head.single();
            if matches!(head.kind, PartKind::Chain(_)) {
                for step in self.unchained(head)?.into_iter().rev() {
                    steps.push_front(step);
                }
            } else if head.is_empty_group() && !steps.is_empty() {
                left_out = Some(head);
            } else {
                steps.push_front(head);
                return Ok(());
            }
        }
        steps.extend(left_out);
        Ok(())
    }

    /// Puts the steps of a chain, or of the chain that is a chord's body, back into the steps to be
    /// done.
    fn spliced(
        &mut self,
        mut step: Part,
        steps: &mut VecDeque<Part>,
    ) -> Result<Option<Part>, CanvasError> {
        if matches!(step.kind, PartKind::Chain(_)) {
            steps.extend(self.unchained(step)?);
            return Ok(None);
        }
        let PartKind::Chord(chord) = &mut step.kind else { return Ok(Some(step)) };
        let led_by_task = |body: &mut Part| match &body.kind {
            PartKind::Chain(steps) => {
                steps.first().is_some_and(|first| !matches!(first.kind, PartKind::Group(_)))
            }
            _ => false,
        };
        let Some(body) = chord.body.take_if(led_by_task) else { return Ok(Some(step)) };
        // Each header task carries the body: what follows its first step is better off in the
        // chain.
        let passed = options::for_first_step(&body.options);
        let mut tail = self.unchained(body)?.into_iter();
        chord.body = tail.next();
        if let Some(first) = &mut chord.body {
            merge(&mut first.options, passed);
        }
        steps.push_back(step);
        steps.extend(tail);
        Ok(None)
    }

    /// The steps of a chain with its links: those for a success on the last, those for a failure on
    /// each.
    fn unchained(&mut self, chain: Part) -> Result<Vec<Part>, CanvasError> {
        let PartKind::Chain(mut steps) = chain.kind else { return Ok(vec![chain]) };
        let mut options = chain.options;
        if let Some(last) = steps.last_mut() {
            for callback in items(take(&mut options, "link")) {
                self.link(last, &callback)?;
            }
        }
        for errback in items(take(&mut options, "link_error")) {
            for step in &mut steps {
                self.link_error(step, &errback)?;
            }
        }
        Ok(steps)
    }

    /// A group that is followed by a step is a chord with that step as its body.
    fn upgraded(
        &mut self,
        step: Part,
        done: &mut Done,
        root_id: Option<&str>,
    ) -> Result<Part, CanvasError> {
        if !matches!(step.kind, PartKind::Group(_)) {
            return Ok(step);
        }
        let Some((body, body_result)) = done.steps.pop() else { return Ok(step) };
        if body.depth().max(step.depth()) >= MAX_DEPTH {
            return Err(CanvasError::TooDeep);
        }
        // What follows hangs on the body's result; it has to hang on the chord's.
        let mut node = done.steps.last().map(|(_, result)| *result);
        while let Some(result) = node
            && self.results.parent(result) != Some(body_result)
        {
            node = self.results.parent(result);
        }
        if let Some(result) = node {
            self.results.set_parent(result, None);
        }
        done.open = node;
        let PartKind::Group(header) = step.kind else { return Err(CanvasError::NoBody) };
        let options = Map::from_iter([("root_id".to_owned(), json!(root_id))]);
        let mut chord = Part::chord(header, body, options);
        chord.args = step.args;
        Ok(chord)
    }

    fn finish_step(
        &mut self,
        mut step: Part,
        done: &mut Done,
        with: &Prepare<'_>,
    ) -> Result<(), CanvasError> {
        let inner = Freeze { root_id: with.last.root_id, ..Freeze::default() };
        let is_last = done.last.is_none();
        let result = self.freeze(&mut step, if is_last { with.last } else { inner })?;
        if let Some(open) = done.open
            && self.results.parent(open).is_none()
        {
            self.results.set_parent(open, Some(result));
        }
        for errback in &with.errbacks {
            self.link_error(&mut step, errback)?;
        }
        let is_chord = matches!(step.kind, PartKind::Chord(_));
        done.open = Some(if is_chord { self.results.root(result) } else { result });
        // A chord that took the last step as its body has that step's result.
        if is_last || done.steps.is_empty() {
            done.last = Some(result);
        }
        done.steps.push((step, result));
        Ok(())
    }
}

/// Puts arguments before those of a step.
fn give(step: &mut Part, args: Vec<Value>, kwargs: Map<String, Value>) {
    // A group's and a header's are given to the members when they are sent, whatever becomes of
    // them until then.
    if step.immutable {
        return;
    }
    let own = std::mem::take(&mut step.args);
    step.args = joined(args, own);
    if matches!(step.kind, PartKind::Task) {
        step.kwargs.extend(kwargs);
    }
}
