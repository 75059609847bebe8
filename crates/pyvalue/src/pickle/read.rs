//! The reader: pickle's stack machine over plain nodes.

use std::{borrow::Cow, collections::HashMap};

use super::{
    call::{self, call},
    class::Class,
    input::Input,
    opcode as op,
    value::{Export, Id, Node},
};
use crate::{error::FormatError, limits::Budget, value::PyValue};

/// Reads a pickle of protocol 0 to 5; bytes behind its end are ignored, as Python ignores them.
///
/// # Errors
/// `Unsupported` names the first class that is not on the allow-list: nothing was
/// imported or executed, the value is to be left alone. A container that holds itself is
/// `Unsupported`, too. `TooLarge` when a cap was passed. `Malformed` for everything else.
pub fn read(bytes: &[u8]) -> Result<PyValue, FormatError> {
    let mut machine = Machine::new(bytes);
    let top = machine.run()?;
    Export::new(&machine.nodes).value(top, 0)
}

pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    pub(super) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// The stack's heights at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    budget: Budget,
    /// Whether what is not read as data is stepped over.
    pub(super) is_skimming: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(bytes),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            budget: Budget::of_pickle(),
            is_skimming: false,
        }
    }

    pub(super) fn run(&mut self) -> Result<Id, FormatError> {
        loop {
            let code = self.input.u8()?;
            if code == op::STOP {
                return self.pop();
            }
            if self.is_skimming && self.step_over(code)? {
                continue;
            }
            if let Some(node) = self.literal(code)? {
                self.push(node)?;
            } else if !(self.frame(code)?
                || self.collect(code)?
                || self.remember(code)?
                || self.object(code)?)
            {
                return Err(self.input.error("an opcode that is not read as data"));
            }
        }
    }

    /// Values that stand in the bytes themselves, and empty containers.
    fn literal(&mut self, code: u8) -> Result<Option<Node<'a>>, FormatError> {
        let input = &mut self.input;
        let int = |i: i64| Node::Value(PyValue::Int(i));
        Ok(Some(match code {
            op::NONE => Node::Value(PyValue::None),
            op::NEWTRUE => Node::Value(PyValue::Bool(true)),
            op::NEWFALSE => Node::Value(PyValue::Bool(false)),
            op::INT => text_int(input)?,
            op::BININT => int(input.i32()?.into()),
            op::BININT1 => int(input.u8()?.into()),
            op::BININT2 => int(input.u16()?.into()),
            op::LONG => Node::Value(input.decimal_line()?),
            op::LONG1 => Node::Value(input.long(1)?),
            op::LONG4 => Node::Value(input.long(4)?),
            op::FLOAT => {
                let float = input.ascii_line()?.parse();
                Node::Value(PyValue::Float(float.map_err(|_| input.error("not a float"))?))
            }
            op::BINFLOAT => Node::Value(PyValue::Float(input.f64_be()?)),
            op::UNICODE => Node::Str(Cow::Owned(input.escaped_line()?)),
            op::SHORT_BINUNICODE => Node::Str(Cow::Borrowed(input.text(1)?)),
            op::BINUNICODE => Node::Str(Cow::Borrowed(input.text(4)?)),
            op::BINUNICODE8 => Node::Str(Cow::Borrowed(input.text(8)?)),
            op::SHORT_BINBYTES => Node::Bytes(Cow::Borrowed(input.counted(1)?)),
            op::BINBYTES => Node::Bytes(Cow::Borrowed(input.counted(4)?)),
            op::BINBYTES8 => Node::Bytes(Cow::Borrowed(input.counted(8)?)),
            op::BYTEARRAY8 => Node::Value(PyValue::ByteArray(input.counted(8)?.to_vec())),
            op::EMPTY_LIST => Node::List(Vec::new()),
            op::EMPTY_TUPLE => Node::Tuple(Vec::new()),
            op::EMPTY_DICT => Node::Dict { pairs: Vec::new(), ordered: false },
            op::EMPTY_SET => Node::Set(Vec::new()),
            _ => return Ok(None),
        }))
    }

    /// What says something of the pickle or moves the stack, and makes nothing.
    fn frame(&mut self, code: u8) -> Result<bool, FormatError> {
        match code {
            op::PROTO => {
                if self.input.u8()? > 5 {
                    return Err(self.input.error("a protocol above 5"));
                }
            }
            op::FRAME => {
                self.input.u64()?;
            }
            op::MARK => {
                self.budget.elements(1)?;
                self.marks.push(self.stack.len());
            }
            op::POP if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => self.push_id(self.top()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Containers: made from the stack, or filled from it.
    fn collect(&mut self, code: u8) -> Result<bool, FormatError> {
        match code {
            op::LIST | op::TUPLE | op::FROZENSET | op::DICT => {
                let items = self.pop_mark()?;
                let node = match code {
                    op::LIST => Node::List(items),
                    op::TUPLE => Node::Tuple(items),
                    op::FROZENSET => Node::FrozenSet(items),
                    _ => Node::Dict { pairs: self.pairs(&items)?, ordered: false },
                };
                self.push(node)?;
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let items = self.pop_many(usize::from(code - op::TUPLE1) + 1)?;
                self.push(Node::Tuple(items))?;
            }
            op::APPEND => {
                let items = self.pop_many(1)?;
                self.extend(items)?;
            }
            op::APPENDS | op::ADDITEMS => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            op::SETITEM => {
                let items = self.pop_many(2)?;
                self.insert(&items)?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.insert(&items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn remember(&mut self, code: u8) -> Result<bool, FormatError> {
        let index = match code {
            op::GET | op::PUT => self.input.index_line()?,
            op::BINGET | op::BINPUT => self.input.u8()?.into(),
            op::LONG_BINGET | op::LONG_BINPUT => self.input.u32()?,
            // As many entries as there are is what Python takes for the next index, too.
            op::MEMOIZE => {
                u32::try_from(self.memo.len()).map_err(|_| self.input.error("a full memo"))?
            }
            _ => return Ok(false),
        };
        if matches!(code, op::GET | op::BINGET | op::LONG_BINGET) {
            let id = self.memo.get(&index).copied();
            let id = id.ok_or_else(|| self.input.error("a memo index that was never set"))?;
            self.push_id(id)?;
        } else {
            self.budget.elements(1)?;
            let top = self.top()?;
            self.memo.insert(index, top);
        }
        Ok(true)
    }

    /// Classes and what is made by calling them; the one place where a name out of the pickle
    /// counts.
    fn object(&mut self, code: u8) -> Result<bool, FormatError> {
        match code {
            op::GLOBAL | op::INST => {
                let (module, name) = (self.input.ascii_line()?, self.input.ascii_line()?);
                let class = Class::find(module, name)?;
                if code == op::INST {
                    return Err(class.unsupported());
                }
                self.push(Node::Class(class))?;
            }
            op::STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let (Node::Str(module), Node::Str(name)) =
                    (self.node(names[0]), self.node(names[1]))
                else {
                    return Err(self.input.error("a class whose name is no text"));
                };
                let class = Class::find(module, name)?;
                self.push(Node::Class(class))?;
            }
            op::REDUCE | op::NEWOBJ => {
                let call = self.pop_many(2)?;
                let (Node::Class(class), Node::Tuple(args)) =
                    (self.node(call[0]), self.node(call[1]))
                else {
                    return Err(self.input.error("a call of what is no class"));
                };
                let (class, args) = (*class, args.clone());
                let node = self.call(class, &args, code == op::NEWOBJ)?;
                self.push(node)?;
            }
            op::BUILD => self.build()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn call(&mut self, class: Class, args: &[Id], new: bool) -> Result<Node<'a>, FormatError> {
        self.budget.elements(args.len())?;
        match (class, args) {
            (Class::Uuid, []) if new => return Ok(Node::UnsetUuid),
            (Class::Set | Class::FrozenSet, [items]) => {
                if let Node::List(items) = self.node(*items) {
                    let items = items.clone();
                    self.budget.elements(items.len())?;
                    let set =
                        if class == Class::Set { Node::Set(items) } else { Node::FrozenSet(items) };
                    return Ok(set);
                }
            }
            _ => {}
        }
        let nodes: Vec<&Node<'a>> = args.iter().map(|id| &self.nodes[*id as usize]).collect();
        self.budget.bytes(nodes.iter().map(|node| node.bytes()).sum())?;
        // `None` here: Python would raise, or the state is one that our types cannot keep (a named
        // time zone, say). Either way the class is what a reader has to know.
        call(class, &nodes).ok_or_else(|| class.unsupported())
    }

    /// Only a UUID has a state of its own.
    fn build(&mut self) -> Result<(), FormatError> {
        let state = self.pop()?;
        let target = self.top()?;
        let (Node::UnsetUuid, Node::Dict { pairs, .. }) = (self.node(target), self.node(state))
        else {
            return Err(self.input.error("a state for what has none"));
        };
        let uuid =
            call::uuid(pairs.iter().map(|(key, value)| (self.node(*key), self.node(*value))));
        let uuid = uuid.ok_or_else(|| Class::Uuid.unsupported())?;
        self.nodes[target as usize] = Node::Value(PyValue::Uuid(uuid));
        Ok(())
    }

    pub(super) fn extend(&mut self, items: Vec<Id>) -> Result<(), FormatError> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            _ => return Err(self.input.error("items for what is no list or set")),
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, items: &[Id]) -> Result<(), FormatError> {
        let new = self.pairs(items)?;
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::Dict { pairs, .. } => pairs.extend(new),
            _ => return Err(self.input.error("pairs for what is no dict")),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, FormatError> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
            _ => Err(self.input.error("a key without a value")),
        }
    }

    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    pub(super) fn push(&mut self, node: Node<'a>) -> Result<(), FormatError> {
        // The budget keeps the number of nodes far below `u32::MAX`.
        let id = Id::try_from(self.nodes.len()).map_err(|_| self.input.error("too many values"))?;
        self.push_id(id)?;
        self.nodes.push(node);
        Ok(())
    }

    fn push_id(&mut self, id: Id) -> Result<(), FormatError> {
        self.budget.elements(1)?;
        self.stack.push(id);
        Ok(())
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn top(&self) -> Result<Id, FormatError> {
        match self.stack.last() {
            Some(top) if self.stack.len() > self.floor() => Ok(*top),
            _ => Err(self.input.error("nothing is on the stack")),
        }
    }

    pub(super) fn pop(&mut self) -> Result<Id, FormatError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, FormatError> {
        match self.stack.len().checked_sub(count) {
            Some(from) if from >= self.floor() => Ok(self.stack.split_off(from)),
            _ => Err(self.input.error("too little is on the stack")),
        }
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, FormatError> {
        let mark = self.marks.pop().ok_or_else(|| self.input.error("no mark is on the stack"))?;
        Ok(self.stack.split_off(mark))
    }
}

/// Protocols 0 and 1 write bools as the ints `00` and `01`.
fn text_int<'a>(input: &mut Input<'a>) -> Result<Node<'a>, FormatError> {
    let line = input.ascii_line()?;
    Ok(match (line, PyValue::parse_int(line)) {
        ("00", _) => Node::Value(PyValue::Bool(false)),
        ("01", _) => Node::Value(PyValue::Bool(true)),
        (_, Some(int)) => Node::Value(int),
        (_, None) => return Err(input.error("not an integer")),
    })
}
