//! What a caller waits for: Celery's `AsyncResult` and `GroupResult`, as ids.

use serde_json::{Value, json};

use super::MAX_DEPTH;

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

    /// Reads that form; `None` for anything else, and for what is nested more than 64 levels deep.
    pub fn from_tuple(value: &Value) -> Option<Self> {
        Self::read(value, MAX_DEPTH)
    }

    fn read(value: &Value, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let [own, members] = value.as_array()?.as_slice() else { return None };
        let (id, parent) = match own {
            Value::String(id) => (id, &Value::Null),
            own => match own.as_array()?.as_slice() {
                [Value::String(id), parent] => (id, parent),
                _ => return None,
            },
        };
        let parent = match parent {
            Value::Null => None,
            parent => Some(Box::new(Self::read(parent, depth)?)),
        };
        let members = match members {
            Value::Null => None,
            Value::Array(members) => {
                Some(members.iter().map(|one| Self::read(one, depth)).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Self { id: id.clone(), parent, members })
    }

    /// The tasks of this result in order: itself, or those of a group's members.
    pub fn tasks(&self) -> Vec<&Self> {
        match &self.members {
            None => vec![self],
            Some(members) => members.iter().flat_map(Self::tasks).collect(),
        }
    }

    /// The tasks that come before this one, the nearest first; groups are passed over.
    pub fn steps_before(&self) -> Vec<&Self> {
        let parents = std::iter::successors(self.parent.as_deref(), |one| one.parent.as_deref());
        parents.filter(|one| one.members.is_none()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tuple_is_read_as_it_is_written() {
        let before = ResultTree {
            members: Some(vec![ResultTree::task("a"), ResultTree::task("b")]),
            ..ResultTree::task("g")
        };
        let tree = ResultTree { parent: Some(Box::new(before)), ..ResultTree::task("t") };
        let tuple = json!([["t", [["g", null], [[["a", null], null], [["b", null], null]]]], null]);
        assert_eq!(tree.as_tuple(), tuple);
        assert_eq!(ResultTree::from_tuple(&tuple), Some(tree));
        assert_eq!(ResultTree::from_tuple(&json!(["old", null])), Some(ResultTree::task("old")));
    }

    #[test]
    fn anything_else_is_no_result() {
        let mut deep = json!([["a", null], null]);
        for _ in 0..100 {
            deep = json!([["g", null], [deep]]);
        }
        for value in [
            deep,
            json!(null),
            json!([]),
            json!([["a"], null]),
            json!([["a", null], 1]),
            json!([[1, null], null]),
        ] {
            assert_eq!(ResultTree::from_tuple(&value), None);
        }
    }
}
