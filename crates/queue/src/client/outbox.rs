//! Messages on their way to their lists: encoded, and cut into pipelines.

use ::redis::{Cmd, Pipeline};
use rhubarb_trace::Sent;
use rhubarb_wire::{Envelope, ResultTree};

/// How many messages go in one pipeline, so that a large canvas does not keep the connection for
/// itself.
const BATCH: usize = 1_000;

/// How many bytes of messages go in one pipeline.
const BATCH_BYTES: usize = 4 << 20;

/// All that is written for one call, ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What stands before anything is sent, for those who finish chords: see
    /// [`crate::canvas::Unrolled`].
    pub(super) saved: Vec<ResultTree>,
    pub(super) chord_sizes: Vec<(String, u64)>,
    pub(super) batches: Vec<Batch>,
    /// What the publishing task lists as its children.
    pub(super) children: Vec<ResultTree>,
    /// The messages, where they are recorded.
    pub(super) recorded: Vec<(String, Envelope)>,
    /// The spans of the messages, where traces are sent.
    pub(super) spans: Vec<Sent>,
    /// Where each message is encoded before it is put into its command.
    pub(super) scratch: Vec<u8>,
    /// About how many messages come, that one included.
    pub(super) to_come: usize,
}

/// The messages of one pipeline.
#[derive(Debug)]
pub(super) struct Batch {
    /// The first task, and its queue.
    first: (String, String),
    messages: usize,
    bytes: usize,
    runs: Vec<Run>,
    /// For how many arguments, and bytes of them, the next command has room from the start. The
    /// first one's is that of all messages, which mostly go to one list: growing it step by step
    /// costs as much as encoding them.
    room: (usize, usize),
}

/// Messages for one list, in one command.
#[derive(Debug)]
struct Run {
    queue: String,
    priority: u8,
    push: Cmd,
    /// Tells of the message, in a command behind it: who reads it finds the task.
    event: Option<Cmd>,
}

/// Where a message goes.
#[derive(Debug)]
pub(super) struct To<'a> {
    pub(super) task: &'a str,
    pub(super) queue: String,
    pub(super) priority: u8,
    /// The event of the task, where each is told of.
    pub(super) event: Option<Cmd>,
}

impl Outbox {
    /// Puts what was encoded last behind the others; `list` names the list of a queue and priority.
    pub(super) fn add(&mut self, to: To<'_>, list: impl FnOnce(&str, u8) -> String) {
        let batch = match self.batches.last_mut() {
            Some(batch) if batch.messages < BATCH && batch.bytes <= BATCH_BYTES => batch,
            _ => self.batches.push_mut(Batch::new(&to, self.to_come, self.scratch.len())),
        };
        self.to_come = self.to_come.saturating_sub(1);
        batch.messages += 1;
        batch.bytes += self.scratch.len();
        batch.run(to, list).push.arg(&self.scratch);
    }
}

impl Batch {
    /// A batch of about so many messages, the first of which has `bytes`.
    fn new(first: &To<'_>, messages: usize, bytes: usize) -> Self {
        let messages = messages.min(BATCH);
        let room = messages.saturating_mul(bytes + bytes / 8).min(BATCH_BYTES);
        let first = (first.task.to_owned(), first.queue.clone());
        Self { first, messages: 0, bytes: 0, runs: Vec::new(), room: (messages + 2, room) }
    }

    /// What goes to one list goes in one command; where each is told of, each in its own.
    fn run(&mut self, to: To<'_>, list: impl FnOnce(&str, u8) -> String) -> &mut Run {
        let To { queue, priority, event, .. } = to;
        let goes_on = event.is_none()
            && self.runs.last().is_some_and(|run| {
                run.event.is_none() && run.queue == queue && run.priority == priority
            });
        if !goes_on {
            let (args, bytes) = std::mem::take(&mut self.room);
            let mut push = Cmd::with_capacity(args, bytes);
            push.arg("LPUSH").arg(list(&queue, priority));
            self.runs.push(Run { queue, priority, push, event });
        }
        let last = self.runs.len() - 1;
        &mut self.runs[last]
    }

    /// The queues, those that have several commands as often.
    pub(super) fn queues(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().map(|run| run.queue.as_str())
    }

    /// What it is called in an error.
    pub(super) fn operation(&self) -> String {
        let (task, queue) = &self.first;
        match self.messages {
            1 => format!("publish task `{task}` to queue `{queue}`"),
            n => format!("publish {n} tasks, `{task}` first, to queue `{queue}`"),
        }
    }

    /// Moves the commands into a pipeline, which has to be carried out as a whole or not at all, so
    /// that what a full server refuses can be sent again.
    pub(super) fn fill(&mut self, pipeline: &mut Pipeline) {
        if self.runs.len() > 1 || self.runs.iter().any(|run| run.event.is_some()) {
            pipeline.atomic();
        }
        for run in self.runs.drain(..) {
            pipeline.add_command(run.push);
            if let Some(event) = run.event {
                pipeline.add_command(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds messages by queue, priority, size, and whether they are told of.
    fn outbox<'m>(messages: impl IntoIterator<Item = (&'m str, u8, usize, bool)>) -> Outbox {
        let messages: Vec<_> = messages.into_iter().collect();
        let mut outbox = Outbox { to_come: messages.len(), ..Outbox::default() };
        for (queue, priority, size, is_told) in messages {
            outbox.scratch = vec![b'x'; size];
            let event = is_told.then(|| ::redis::cmd("PUBLISH"));
            let to = To { task: "t", queue: queue.to_owned(), priority, event };
            outbox.add(to, |queue, priority| format!("{queue}{priority}"));
        }
        outbox
    }

    fn commands(mut batch: Batch) -> String {
        let mut pipeline = ::redis::pipe();
        batch.fill(&mut pipeline);
        String::from_utf8(pipeline.get_packed_pipeline()).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn messages_go_in_pieces_of_bounded_count_and_size() {
        let sizes = |n: usize, size: usize| {
            let outbox = outbox(std::iter::repeat_n(("q", 0, size, false), n));
            outbox.batches.iter().map(|batch| batch.messages).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0, 1), [0_usize; 0]);
        assert_eq!(sizes(2_001, 1), [1_000, 1_000, 1]);
        assert_eq!(sizes(5, 3 << 20), [2, 2, 1]);
    }

    #[test]
    fn what_goes_to_one_list_in_a_row_goes_in_one_command() {
        let sent = |messages: &[(&str, u8, usize, bool)]| {
            commands(outbox(messages.iter().copied()).batches.pop().unwrap())
        };
        let (a, b) = (("a", 0, 1, false), ("b", 0, 1, false));
        assert_eq!(sent(&[a, a]), "*4 $5 LPUSH $2 a0 $1 x $1 x ");
        let all_or_nothing = |inner: &str| format!("*1 $5 MULTI {inner}*1 $4 EXEC ");
        let (to_a, to_b) = ("*3 $5 LPUSH $2 a0 $1 x ", "*3 $5 LPUSH $2 b0 $1 x ");
        assert_eq!(sent(&[a, b, a]), all_or_nothing(&format!("{to_a}{to_b}{to_a}")));
        let urgent = sent(&[a, ("a", 9, 1, false)]);
        assert_eq!(urgent, all_or_nothing(&format!("{to_a}*3 $5 LPUSH $2 a9 $1 x ")));
    }

    #[test]
    fn each_message_that_is_told_of_is_told_of_right_behind_it() {
        let told = ("a", 0, 1, true);
        let sent = commands(outbox([told, told]).batches.pop().unwrap());
        let one = "*3 $5 LPUSH $2 a0 $1 x *1 $7 PUBLISH ";
        assert_eq!(sent, format!("*1 $5 MULTI {one}{one}*1 $4 EXEC "));
    }

    #[test]
    fn an_error_names_the_first_task_and_queue() {
        let operation = |messages: &[_]| outbox(messages.iter().copied()).batches[0].operation();
        let (a, b) = (("a", 0, 1, false), ("b", 0, 1, false));
        assert_eq!(operation(&[a]), "publish task `t` to queue `a`");
        assert_eq!(operation(&[b, a]), "publish 2 tasks, `t` first, to queue `b`");
    }
}
