//! One unrolling under way, and what its steps are given.

use rhubarb_wire::Signature;
use serde_json::{Map, Value, json};

use super::{
    Call, CanvasError, Outgoing, Publisher, Unrolled,
    options::Options,
    results::{Res, Results},
};

/// One unrolling under way.
pub(super) struct Unroll<'a> {
    pub(super) publisher: Publisher<'a>,
    pub(super) results: Results,
    pub(super) saved: Vec<Res>,
    pub(super) chord_sizes: Vec<(String, u64)>,
    pub(super) messages: Vec<Outgoing>,
    /// What was sent, a group as one.
    pub(super) children: Vec<Res>,
    /// In how many groups we are: what is sent inside one is told as that group.
    pub(super) groups: usize,
    /// Who publishes: for messages whose options do not say.
    pub(super) root_id: Option<String>,
    pub(super) parent_id: Option<String>,
    pub(super) priority: Option<u8>,
    /// How many bytes may still be built.
    left: usize,
}

/// What a signature is sent with, beside its own.
#[derive(Debug, Default)]
pub(super) struct How {
    pub(super) args: Vec<Value>,
    pub(super) kwargs: Map<String, Value>,
    pub(super) options: Options,
    /// What follows, reversed; absent where the signature's own options may say.
    pub(super) chain: Option<Vec<Signature>>,
}

impl From<Call> for How {
    fn from(call: Call) -> Self {
        let mut options = call.options;
        for (key, id) in [("root_id", call.root_id), ("parent_id", call.parent_id)] {
            if let Some(id) = id {
                options.entry(key).or_insert_with(|| json!(id));
            }
        }
        let chain = Some(call.chain).filter(|chain| !chain.is_empty());
        Self { args: call.args, kwargs: Map::new(), options, chain }
    }
}

/// What the steps of a chain are given.
#[derive(Debug, Default)]
pub(super) struct Prepare<'a> {
    /// For the first step, before its own.
    pub(super) args: Vec<Value>,
    pub(super) kwargs: Map<String, Value>,
    /// What the last step is frozen as: a chain's id, group and chord are those of its end.
    pub(super) last: Freeze<'a>,
    /// For every step.
    pub(super) errbacks: Vec<Value>,
}

/// What a signature is given when it is frozen; what it has already stays.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Freeze<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) group_id: Option<&'a str>,
    /// The body of the chord that the signature's last task reports to.
    pub(super) chord: Option<&'a Value>,
    pub(super) root_id: Option<&'a str>,
    pub(super) parent_id: Option<&'a str>,
    pub(super) group_index: Option<usize>,
    /// Of a group that is sent right after: its tasks are given the chord one by one then, not all
    /// at once.
    pub(super) sent_next: bool,
}

impl<'a> Unroll<'a> {
    pub(super) fn new(publisher: Publisher<'a>, call: &Call) -> Self {
        Self {
            publisher,
            results: Results::default(),
            saved: Vec::new(),
            chord_sizes: Vec::new(),
            messages: Vec::new(),
            children: Vec::new(),
            groups: 0,
            root_id: call.root_id.clone(),
            parent_id: call.parent_id.clone(),
            priority: call.priority,
            left: publisher.max_bytes,
        }
    }

    pub(super) fn finish(self, result: Option<Res>) -> Unrolled {
        Unrolled {
            saved: self.saved.iter().map(|group| self.results.tree(*group)).collect(),
            result: result.map(|result| self.results.tree(result)),
            children: self.children.iter().map(|child| self.results.tree(*child)).collect(),
            chord_sizes: self.chord_sizes,
            messages: self.messages,
        }
    }

    pub(super) fn note_child(&mut self, sent: Res) {
        if self.groups == 0 {
            self.children.push(sent);
        }
    }

    pub(super) fn fresh_id(&self) -> String {
        (self.publisher.fresh_id)()
    }

    /// Counts what is built against the bound.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), CanvasError> {
        let limit = self.publisher.max_bytes;
        self.left = self.left.checked_sub(bytes).ok_or(CanvasError::TooLarge { limit })?;
        Ok(())
    }

    /// Counts no longer what was there for a while.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.left += bytes;
    }
}
