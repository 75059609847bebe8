//! What a caller waits for: Celery's `AsyncResult` and `GroupResult`, as ids.

use serde_json::{Value, json};

/// How many ancestors of a result are told. Celery tells all and fails where Python's recursion ends; a stored result
/// nested more deeply than this could not be read by our own reader.
const MAX_ANCESTORS: usize = 24;

/// A result: of a task, or of a group. The form is that of `as_tuple` in `celery/result.py`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultTree {
    /// The id of the task or group.
    pub id: String,
    /// The result that it follows in a chain or chord: the nearest 24 are told.
    pub parent: Option<Box<ResultTree>>,
    /// A group's members in order; absent for a task.
    pub members: Option<Vec<ResultTree>>,
}

impl ResultTree {
    /// The result of one task.
    pub fn task(id: impl Into<String>) -> Self {
        Self { id: id.into(), parent: None, members: None }
    }

    /// `[[id, parent], members]`, as `children` of a stored result and a saved group have it.
    pub fn as_tuple(&self) -> Value {
        let parent = self.parent.as_ref().map_or(Value::Null, |parent| parent.as_tuple());
        let members: Option<Vec<Value>> =
            self.members.as_ref().map(|members| members.iter().map(Self::as_tuple).collect());
        json!([[self.id, parent], members])
    }
}

/// A result in [`Results`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Res(usize);

/// Results while they are linked to each other.
#[derive(Debug, Default)]
pub(super) struct Results(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    id: String,
    parent: Option<Res>,
    members: Option<Vec<Res>>,
}

impl Results {
    fn add(&mut self, id: &str, members: Option<Vec<Res>>) -> Res {
        self.0.push(Entry { id: id.to_owned(), parent: None, members });
        Res(self.0.len() - 1)
    }

    pub(super) fn task(&mut self, id: &str) -> Res {
        self.add(id, None)
    }

    pub(super) fn group(&mut self, id: &str, members: Vec<Res>) -> Res {
        self.add(id, Some(members))
    }

    pub(super) fn id(&self, res: Res) -> &str {
        &self.0[res.0].id
    }

    pub(super) fn parent(&self, res: Res) -> Option<Res> {
        self.0[res.0].parent
    }

    pub(super) fn set_parent(&mut self, res: Res, parent: Option<Res>) {
        self.0[res.0].parent = parent;
    }

    pub(super) fn members(&self, res: Res) -> Option<&[Res]> {
        self.0[res.0].members.as_deref()
    }

    /// The result at the end of the parents.
    pub(super) fn root(&self, mut res: Res) -> Res {
        while let Some(parent) = self.parent(res) {
            res = parent;
        }
        res
    }

    /// Members are as deep as signatures, which are bounded; parents are cut.
    pub(super) fn tree(&self, res: Res) -> ResultTree {
        self.tree_below(res, MAX_ANCESTORS)
    }

    fn tree_below(&self, res: Res, ancestors: usize) -> ResultTree {
        let entry = &self.0[res.0];
        let parent = entry.parent.filter(|_| ancestors > 0);
        ResultTree {
            id: entry.id.clone(),
            parent: parent.map(|parent| Box::new(self.tree_below(parent, ancestors - 1))),
            members: entry.members.as_ref().map(|members| {
                members.iter().map(|member| self.tree_below(*member, ancestors)).collect()
            }),
        }
    }
}
