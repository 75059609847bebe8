//! What a caller waits for: Celery's `AsyncResult` and `GroupResult`, as ids.

use rhubarb_wire::ResultTree;

/// How many ancestors of a result are told. Celery tells all and fails where Python's recursion
/// ends; a stored result nested more deeply than this could not be read by our own reader.
const MAX_ANCESTORS: usize = 24;

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
            children: entry.members.as_ref().map(|members| {
                members.iter().map(|member| self.tree_below(*member, ancestors)).collect()
            }),
        }
    }
}
