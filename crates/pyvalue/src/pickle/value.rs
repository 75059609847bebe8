//! What a pickle has made so far: nodes that share and change one another, and the value they
//! become.

use std::borrow::Cow;

use jiff::tz::Offset;

use super::class::Class;
use crate::{
    error::FormatError,
    limits::{Budget, too_deep},
    time::Zone,
    value::PyValue,
};

/// A node's place in the arena.
pub(super) type Id = u32;

/// A value being made. Containers hold places, so that a later change shows wherever one is shared.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A value without parts.
    Value(PyValue),
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    FrozenSet(Vec<Id>),
    Dict {
        pairs: Vec<(Id, Id)>,
        ordered: bool,
    },
    /// A class on its way to a call; no value by itself.
    Class(Class),
    /// A `datetime.timezone`; no value by itself.
    TimeZone(Offset),
    /// A `zoneinfo.ZoneInfo`; no value by itself.
    Zone(Zone),
    /// A `uuid.UUID` that has not got its number yet.
    UnsetUuid,
    /// Whatever a class that is not read as data makes of whatever; only where such are stepped
    /// over.
    Foreign,
}

impl Node<'_> {
    /// Returns the bytes that a copy of this node takes besides its parts.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Value(PyValue::ByteArray(bytes)) => bytes.len(),
            Self::Value(PyValue::BigInt(int)) => int.bits() as usize / 8,
            Self::Value(PyValue::Decimal(decimal)) => decimal.as_str().len(),
            _ => 0,
        }
    }
}

/// Copies nodes out into a value.
pub(super) struct Export<'n, 'a> {
    nodes: &'n [Node<'a>],
    /// Which containers are being copied: meeting one again inside itself means that it has no end.
    open: Vec<bool>,
    budget: Budget,
}

impl<'n, 'a> Export<'n, 'a> {
    pub(super) fn new(nodes: &'n [Node<'a>]) -> Self {
        Self { nodes, open: vec![false; nodes.len()], budget: Budget::of_pickle() }
    }

    pub(super) fn value(&mut self, id: Id, depth: usize) -> Result<PyValue, FormatError> {
        self.budget.elements(1)?;
        let nodes = self.nodes;
        let node = &nodes[id as usize];
        self.budget.bytes(node.bytes())?;
        match node {
            Node::Value(value) => Ok(value.clone()),
            Node::Str(text) => Ok(PyValue::Str(text.clone().into_owned())),
            Node::Bytes(bytes) => Ok(PyValue::Bytes(bytes.clone().into_owned())),
            Node::Class(class) => Err(class.unsupported()),
            Node::TimeZone(_) => Err(Class::TimeZone.unsupported()),
            Node::Zone(_) => Err(Class::ZoneInfo.unsupported()),
            Node::UnsetUuid => Err(Class::Uuid.unsupported()),
            Node::Foreign => Err(FormatError::unsupported("a class that was stepped over")),
            _ if depth >= self.budget.depth => Err(too_deep(self.budget.depth)),
            _ if self.open[id as usize] => {
                Err(FormatError::unsupported("a container that holds itself"))
            }
            container => {
                self.open[id as usize] = true;
                let value = self.container(container, depth + 1);
                self.open[id as usize] = false;
                value
            }
        }
    }

    fn container(&mut self, node: &Node<'a>, depth: usize) -> Result<PyValue, FormatError> {
        Ok(match node {
            Node::List(items) => PyValue::List(self.items(items, depth)?),
            Node::Tuple(items) => PyValue::Tuple(self.items(items, depth)?),
            Node::Set(items) => PyValue::Set(hashable(self.items(items, depth)?)?),
            Node::FrozenSet(items) => PyValue::FrozenSet(hashable(self.items(items, depth)?)?),
            Node::Dict { pairs, ordered } => {
                let mut made = Vec::new();
                for (key, value) in pairs {
                    let key = self.value(*key, depth)?;
                    if !key.is_hashable() {
                        return Err(unhashable());
                    }
                    made.push((key, self.value(*value, depth)?));
                }
                if *ordered { PyValue::OrderedDict(made) } else { PyValue::Dict(made) }
            }
            // The caller deals with all that are no containers.
            _ => PyValue::None,
        })
    }

    fn items(&mut self, items: &[Id], depth: usize) -> Result<Vec<PyValue>, FormatError> {
        items.iter().map(|item| self.value(*item, depth)).collect()
    }
}

fn hashable(items: Vec<PyValue>) -> Result<Vec<PyValue>, FormatError> {
    if items.iter().all(PyValue::is_hashable) { Ok(items) } else { Err(unhashable()) }
}

pub(super) fn unhashable() -> FormatError {
    FormatError::unsupported("an unhashable key or set member")
}
