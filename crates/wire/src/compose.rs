//! How signatures are put together: the rules of the operator `|` in `celery/canvas.py` (5.7.0).

use serde_json::{Value, json};

use crate::signature::{Signature, SignatureKind};

/// A signature taken apart as far as building needs it.
///
/// `head` is the signature itself, whose parts in `kwargs` are replaced on the way back.
pub(crate) enum Node {
    Leaf(Signature),
    Chain { head: Signature, tasks: Vec<Self> },
    Group { head: Signature, tasks: Vec<Self> },
    Chord { head: Signature, header: Vec<Self>, body: Box<Self> },
}

pub(crate) fn nodes(signatures: Vec<Signature>) -> Vec<Node> {
    signatures.into_iter().map(Node::new).collect()
}

pub(crate) fn head(task: &str, subtask_type: &str) -> Signature {
    Signature { subtask_type: Some(subtask_type.to_owned()), ..Signature::new(task) }
}

fn new_chain(tasks: Vec<Node>) -> Node {
    Node::Chain { head: head("celery.chain", "chain"), tasks }
}

pub(crate) fn chord_of(header: Vec<Node>, body: Node) -> Node {
    let mut head = head("celery.chord", "chord");
    // Celery keeps the keyword arguments of the chord itself here.
    head.kwargs.insert("kwargs".to_owned(), json!({}));
    Node::Chord { head, header, body: Box::new(body) }
}

impl Node {
    /// What cannot be taken apart stays whole.
    pub(crate) fn new(head: Signature) -> Self {
        let tasks = || head.tasks().map(nodes);
        match head.kind() {
            SignatureKind::Chain => match tasks() {
                Ok(tasks) => Self::Chain { head, tasks },
                Err(_) => Self::Leaf(head),
            },
            SignatureKind::Group => match tasks() {
                Ok(tasks) => Self::Group { head, tasks },
                Err(_) => Self::Leaf(head),
            },
            // A frozen header has an id of its own, which a list would lose.
            SignatureKind::Chord if head.kwargs.get("header").is_some_and(Value::is_array) => {
                match (tasks(), head.body()) {
                    (Ok(header), Ok(Some(body))) => {
                        Self::Chord { head, header, body: Box::new(Self::new(body)) }
                    }
                    _ => Self::Leaf(head),
                }
            }
            _ => Self::Leaf(head),
        }
    }

    pub(crate) fn into_signature(self) -> Signature {
        let list = |tasks: Vec<Self>| -> Value {
            tasks.into_iter().map(|task| task.into_signature().to_value()).collect()
        };
        match self {
            Self::Leaf(signature) => signature,
            Self::Chain { head, tasks } | Self::Group { head, tasks } => {
                head.kwarg("tasks", list(tasks))
            }
            Self::Chord { head, header, body } => {
                head.kwarg("header", list(header)).kwarg("body", body.into_signature().to_value())
            }
        }
    }

    pub(crate) fn set_immutable(&mut self) {
        match self {
            Self::Leaf(head) | Self::Chain { head, .. } => head.immutable = true,
            Self::Group { tasks, .. } | Self::Chord { header: tasks, .. } => {
                tasks.iter_mut().for_each(Self::set_immutable);
            }
        }
    }

    pub(crate) fn link(&mut self, callback: Signature) {
        match self {
            Self::Leaf(head) | Self::Chain { head, .. } => append(head, "link", &callback),
            Self::Chord { body, .. } => body.link(callback),
            Self::Group { tasks, .. } => {
                if let Some(first) = tasks.first_mut() {
                    first.link(callback.immutable());
                }
            }
        }
    }

    pub(crate) fn link_error(&mut self, errback: &Signature) {
        match self {
            Self::Leaf(head) | Self::Chain { head, .. } => append(head, "link_error", errback),
            Self::Group { tasks, .. } => {
                tasks.iter_mut().for_each(|task| task.link_error(errback));
            }
            Self::Chord { header, body, .. } => {
                let inner = header.iter_mut().filter(|task| matches!(task, Self::Chord { .. }));
                inner.for_each(|task| task.link_error(errback));
                body.link_error(errback);
            }
        }
    }
}

/// Adds to a list in the options, unless it is there.
fn append(head: &mut Signature, option: &str, signature: &Signature) {
    let list = head.options.entry(option).or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = Value::Array(vec![list.take()]);
    }
    let value = signature.to_value();
    if let Value::Array(list) = list
        && !list.contains(&value)
    {
        list.push(value);
    }
}

/// The steps of a chain that is dissolved: its callbacks go to the last one, its errbacks to all.
fn unchain(head: &Signature, mut tasks: Vec<Node>) -> Vec<Node> {
    if let Some(last) = tasks.last_mut() {
        linked(head, "link").into_iter().for_each(|callback| last.link(callback));
    }
    for errback in linked(head, "link_error") {
        tasks.iter_mut().for_each(|task| task.link_error(&errback));
    }
    tasks
}

fn linked(head: &Signature, option: &str) -> Vec<Signature> {
    let items = match head.options.get(option) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(single) => vec![single.clone()],
    };
    items.into_iter().filter_map(|item| Signature::from_value(item).ok()).collect()
}

/// `chain(…)` of Celery: in one pass, so that a long chain takes linear time.
pub(crate) fn fold(steps: impl IntoIterator<Item = Node>) -> Node {
    let mut steps = steps.into_iter();
    let mut done = Vec::new();
    while let Some(step) = steps.next() {
        if let Some(group) = merge(&mut done, step) {
            // A group in the first place makes what follows its chord's body.
            return steps.fold(group, or);
        }
    }
    new_chain(done)
}

/// Adds a step; gives it back combined when the result is no chain.
fn merge(done: &mut Vec<Node>, step: Node) -> Option<Node> {
    match step {
        Node::Group { head, tasks } => merge_group(done, head, tasks),
        Node::Chain { head, tasks } => {
            let mut inner = unchain(&head, tasks).into_iter();
            while let Some(step) = inner.next() {
                if let Some(group) = merge(done, step) {
                    return Some(inner.fold(group, or));
                }
            }
            None
        }
        step => {
            match done.pop() {
                Some(Node::Group { tasks, .. }) => done.push(chord_of(tasks, step)),
                Some(Node::Chord { head, header, body }) if !matches!(step, Node::Chord { .. }) => {
                    done.push(Node::Chord { head, header, body: Box::new(or(*body, step)) });
                }
                last => {
                    done.extend(last);
                    done.push(step);
                }
            }
            None
        }
    }
}

fn merge_group(done: &mut Vec<Node>, head: Signature, tasks: Vec<Node>) -> Option<Node> {
    if tasks.is_empty() {
        return None;
    }
    let group = match unrolled(Node::Group { head, tasks }) {
        group @ Node::Group { .. } => group,
        step => return merge(done, step),
    };
    match done.pop() {
        None => return Some(group),
        Some(Node::Chord { head, header, body }) => {
            done.push(Node::Chord { head, header, body: Box::new(or(*body, group)) });
        }
        Some(last) => done.extend([last, group]),
    }
    None
}

/// The `|` of Celery.
pub(crate) fn or(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::Chain { head, tasks }, right) => chain_or(head, tasks, right),
        (left @ Node::Group { .. }, Node::Group { tasks, .. }) if tasks.is_empty() => left,
        (Node::Group { tasks, .. }, right) => chord_of(tasks, right),
        (Node::Chord { head, header, body }, right @ (Node::Leaf(_) | Node::Chord { .. })) => {
            Node::Chord { head, header, body: Box::new(or(*body, right)) }
        }
        (Node::Chord { head, header, body }, Node::Group { mut tasks, .. }) if tasks.len() == 1 => {
            Node::Chord { head, header, body: Box::new(or(*body, tasks.remove(0))) }
        }
        (left, Node::Chain { head, tasks }) => {
            let mut steps = vec![left];
            steps.extend(unchain(&head, tasks));
            new_chain(steps)
        }
        (left, right) => new_chain(vec![left, unrolled(right)]),
    }
}

/// A group of one task is that task; a group within it stays as it is.
fn unrolled(node: Node) -> Node {
    match node {
        Node::Group { mut tasks, .. } if tasks.len() == 1 => tasks.remove(0),
        node => node,
    }
}

fn chain_or(head: Signature, tasks: Vec<Node>, right: Node) -> Node {
    match right {
        Node::Group { tasks: right, .. } if right.is_empty() => Node::Chain { head, tasks },
        Node::Group { .. } => match unrolled(right) {
            group @ Node::Group { .. } => chain_or_group(&head, tasks, group),
            step => chain_or(head, tasks, step),
        },
        Node::Chain { head: right, tasks: steps } => {
            unchain(&right, steps).into_iter().fold(Node::Chain { head, tasks }, or)
        }
        step => chain_or_step(head, tasks, step),
    }
}

fn chain_or_group(head: &Signature, tasks: Vec<Node>, group: Node) -> Node {
    let mut steps = unchain(head, tasks);
    match steps.pop() {
        None => return group,
        Some(Node::Chord { head, header, body }) => {
            steps.push(Node::Chord { head, header, body: Box::new(or(*body, group)) });
        }
        Some(last) => steps.extend([last, group]),
    }
    new_chain(steps)
}

fn chain_or_step(head: Signature, mut tasks: Vec<Node>, step: Node) -> Node {
    match tasks.pop() {
        Some(Node::Group { tasks: header, .. }) => {
            let last = chord_of(header, step);
            match tasks.pop() {
                Some(Node::Chord { head, header, body }) => {
                    let body = Box::new(or(*body, last));
                    tasks.push(Node::Chord { head, header, body });
                }
                before => {
                    tasks.extend(before);
                    tasks.push(last);
                }
            }
            Node::Chain { head, tasks }
        }
        Some(Node::Chord { head: inner, header, body }) if !matches!(step, Node::Chord { .. }) => {
            tasks.push(Node::Chord { head: inner, header, body: Box::new(or(*body, step)) });
            Node::Chain { head, tasks }
        }
        last => {
            tasks.extend(last);
            let mut steps = unchain(&head, tasks);
            steps.push(step);
            new_chain(steps)
        }
    }
}
