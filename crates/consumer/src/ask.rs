//! Asks the live workers on a broker what they run, as `celery inspect` does.
//!
//! Protocol: kombu's pidbox (5.4 and 5.7). A binding leads replies to a list of ours; the command
//! is published; whoever listens pushes its reply to the list, which is read until all have
//! answered, and then removed with the binding.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rhubarb_core::clock;
use rhubarb_queue::{Error, error::redis};
use rhubarb_wire::control::{Command, Reply, ReplyTo};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::broker::Broker;

/// How long replies are awaited; `celery inspect` waits as long.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest pause between two looks for replies.
const LOOK: Duration = Duration::from_millis(100);
/// How many replies are taken at once.
const REPLIES: usize = 20;
/// How many replies are read of one question; the rest is dropped.
const MAX_REPLIES: u64 = 2_000;
/// The largest reply that is read.
const MAX_BYTES: usize = 1 << 20;
/// How many names are kept of one reply.
const MAX_NAMES: usize = 10_000;

/// A live worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) queues: BTreeSet<String>,
    pub(super) tasks: BTreeSet<String>,
    /// When it answered; `None` for one in the registry.
    pub(super) at: Option<Instant>,
    /// Whether it is a Rust worker.
    pub(super) is_ours: bool,
}

/// What a round of asking brought.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Who answered, by node name.
    pub(super) nodes: BTreeMap<String, Node>,
    /// Workers of ours by id; each entry in the registry says itself whether it is alive.
    pub(super) registered: BTreeMap<String, Node>,
    /// Whether all who listened have answered.
    pub(super) complete: bool,
}

/// Asks for tasks and queues.
///
/// # Cancel safety
///
/// A dropped call may leave the binding; the next one uses the same, and removes it.
///
/// # Errors
///
/// [`Error::Redis`].
pub(super) async fn ask(broker: &Broker) -> Result<Answers, Error> {
    let question = Question::new(broker);
    let listening = question.publish().await?;
    let mut replies = Replies::default();
    let deadline = Instant::now() + PATIENCE;
    let mut pause = LOOK / 10;
    while replies.n < listening && Instant::now() < deadline {
        sleep(pause).await;
        pause = (pause * 2).min(LOOK);
        while question.read(&mut replies).await? == REPLIES && replies.n < MAX_REPLIES {}
    }
    question.clean_up().await?;
    Ok(replies.answers(listening))
}

struct Question<'s> {
    broker: &'s Broker,
    tickets: [String; 2],
    list: String,
    member: String,
    bindings: String,
}

/// The two things that are asked for, in the order of their tickets.
const METHODS: [&str; 2] = ["registered", "active_queues"];

impl<'s> Question<'s> {
    fn new(broker: &'s Broker) -> Self {
        let celery = broker.client.celery();
        let key = |name: String| broker.client.keys().kombus(&name);
        let ticket = || uuid::Uuid::new_v4().to_string();
        Self {
            broker,
            tickets: [ticket(), ticket()],
            list: key(rhubarb_wire::reply_queue(broker.client.reply_to())),
            member: rhubarb_wire::reply_binding_member(broker.client.reply_to(), &celery.sep),
            bindings: key(rhubarb_wire::reply_binding_key()),
        }
    }

    /// Publishes the commands; returns how many replies are to come.
    async fn publish(&self) -> Result<u64, Error> {
        let broker = self.broker;
        let prefix = &broker.client.celery().global_keyprefix;
        let channel = rhubarb_wire::pidbox_channel(prefix, i64::from(broker.queue.db()));
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("SADD").arg(&self.bindings).arg(&self.member).ignore();
        for (method, ticket) in METHODS.iter().zip(&self.tickets) {
            let mut command = Command::new(method, Map::new());
            command.ticket = Some(ticket.clone());
            command.reply_to = Some(ReplyTo::client(broker.client.reply_to()));
            #[expect(
                clippy::cast_precision_loss,
                reason = "a time of today in milliseconds is exact"
            )]
            let now = clock::now().as_millisecond() as f64 / 1000.0;
            command.expires = Some(now + PATIENCE.as_secs_f64());
            let tag = uuid::Uuid::new_v4().to_string();
            pipeline.cmd("PUBLISH").arg(&channel).arg(command.encode(&tag));
        }
        let (first, second): (u64, u64) =
            broker.queue.pipe(&pipeline).await.map_err(redis("ask the other workers"))?;
        Ok(first + second)
    }

    /// Takes what has come; returns how many.
    async fn read(&self, replies: &mut Replies) -> Result<usize, Error> {
        let mut pop = ::redis::cmd("RPOP");
        pop.arg(&self.list).arg(REPLIES);
        let come: Option<Vec<Vec<u8>>> = self
            .broker
            .queue
            .query(&pop)
            .await
            .map_err(redis("read the other workers' replies"))?;
        let come = come.unwrap_or_default();
        for bytes in &come {
            replies.take(bytes, &self.tickets);
        }
        Ok(come.len())
    }

    async fn clean_up(&self) -> Result<(), Error> {
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("SREM").arg(&self.bindings).arg(&self.member).ignore();
        pipeline.cmd("DEL").arg(&self.list).ignore();
        let _: ::redis::Value = self
            .broker
            .queue
            .pipe(&pipeline)
            .await
            .map_err(redis("remove the list of the other workers' replies"))?;
        Ok(())
    }
}

#[derive(Default)]
struct Replies {
    n: u64,
    nodes: BTreeMap<String, Node>,
}

impl Replies {
    /// Notes a reply to this question; one to an earlier question, and garbage, is passed by.
    fn take(&mut self, bytes: &[u8], tickets: &[String; 2]) {
        let Ok(reply) = Reply::decode(bytes, MAX_BYTES) else { return };
        let is_asked = |ticket: &String| reply.ticket.as_ref() == Some(ticket);
        let Some(which) = tickets.iter().position(is_asked) else { return };
        self.n += 1;
        for (name, value) in &reply.nodes {
            let node = self.nodes.entry(name.clone()).or_default();
            let names = names(value);
            if which == 0 { node.tasks = names } else { node.queues = names }
        }
    }

    fn answers(self, listening: u64) -> Answers {
        let complete = self.n >= listening;
        Answers { nodes: self.nodes, registered: BTreeMap::new(), complete }
    }
}

/// Reads a list of names: texts (`t` or `t [rate_limit=…]`), or queues as objects with a `name`.
fn names(value: &Value) -> BTreeSet<String> {
    let name = |value: &Value| {
        let text = value.as_str().or_else(|| value.get("name")?.as_str())?;
        Some(text.split(" [").next().unwrap_or(text).to_owned())
    };
    value
        .as_array()
        .map(|list| list.iter().take(MAX_NAMES).filter_map(name).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(node: &str, value: Value, ticket: &str) -> Vec<u8> {
        let mut command = Command::new("registered", Map::new());
        command.ticket = Some(ticket.to_owned());
        command.reply_to = Some(ReplyTo::client("us"));
        rhubarb_wire::control::reply(node, value, &command, 1, "tag").unwrap()
    }

    #[test]
    fn replies_are_put_together_by_node_and_those_to_others_are_passed_by() {
        let tickets = ["t".to_owned(), "q".to_owned()];
        let mut replies = Replies::default();
        replies.take(&reply("w1", json!(["a", "b [rate_limit=10/m]"]), "t"), &tickets);
        replies.take(&reply("w1", json!([{"name": "celery", "routing_key": "x"}]), "q"), &tickets);
        replies.take(&reply("w2", json!({"error": "no"}), "t"), &tickets);
        replies.take(&reply("w3", json!(["c"]), "an earlier ticket"), &tickets);
        replies.take(b"garbage", &tickets);
        assert_eq!(replies.n, 3);
        let answers = replies.answers(4);
        assert!(!answers.complete, "one has not answered");
        let set = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<BTreeSet<_>>();
        let w1 = Node { tasks: set(&["a", "b"]), queues: set(&["celery"]), ..Node::default() };
        assert_eq!(answers.nodes["w1"], w1);
        assert_eq!(answers.nodes["w2"], Node::default());
        assert_eq!(answers.nodes.len(), 2);
    }
}
