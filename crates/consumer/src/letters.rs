//! Keeping messages apart: dead letters and parked tasks are capped by count, age and bytes; what
//! gives way is told, one warning each.

use rhubarb_queue::{
    Client, Error,
    config::{LetterCaps, WorkerConfig},
    error::redis,
    letter::{BATCH, Letter, LetterKind},
};

use crate::{
    floods::{Flood, Floods, What},
    script,
};

/// Writes letters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a WorkerConfig,
    pub(crate) floods: &'a Floods,
}

/// The caps that hold for a kind of letters.
fn caps(kind: LetterKind, config: &WorkerConfig) -> LetterCaps {
    match kind {
        LetterKind::Dead => config.dead_letters(),
        LetterKind::Parked => config.parked(),
    }
}

/// What its caps' settings begin with.
fn setting(kind: LetterKind) -> &'static str {
    match kind {
        LetterKind::Dead => "worker.max_dead_letters",
        LetterKind::Parked => "worker.max_parked",
    }
}

/// The record, without the message where that alone is more than may be kept.
fn record(letter: &Letter, caps: &LetterCaps, floods: &Floods) -> Result<Vec<u8>, Error> {
    let malformed = |e: serde_json::Error| Error::Malformed {
        what: format!("letter `{}`", letter.id),
        reason: e.to_string(),
    };
    let record = serde_json::to_vec(letter).map_err(malformed)?;
    if record.len() <= caps.bytes {
        return Ok(record);
    }
    let setting = setting(letter.kind);
    if floods.note(Flood::new(What::Stripped, letter.task.as_deref(), None), 1) {
        tracing::warn!(
            id = letter.id, kind = ?letter.kind, bytes = record.len(),
            "the message alone is more than {setting}_bytes: only what is known of it is kept"
        );
    }
    let known = Letter { message: None, message_base64: None, ..letter.clone() };
    serde_json::to_vec(&known).map_err(malformed)
}

impl Writer<'_> {
    /// Keeps a letter; a letter with the same id is replaced, so that repeating it is harmless.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; whoever holds the claim goes on holding it and tries again.
    pub(crate) async fn keep(&self, letter: &Letter) -> Result<(), Error> {
        let record = record(letter, &caps(letter.kind, self.config), self.floods)?;
        let operation = format!("keep the message `{}` apart", letter.id);
        let more = self.enforce(letter.kind, (&letter.id, record), operation).await?;
        if more { self.tidy(letter.kind).await } else { Ok(()) }
    }

    /// Has what is over the caps give way, and warns of it.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub(crate) async fn tidy(&self, kind: LetterKind) -> Result<(), Error> {
        let operation = || "look at the letters' caps".to_owned();
        while self.enforce(kind, ("", Vec::new()), operation()).await? {}
        Ok(())
    }

    /// Keeps one letter, or none, and has up to 100 give way; tells whether there may be more.
    async fn enforce(
        &self,
        kind: LetterKind,
        (id, record): (&str, Vec<u8>),
        operation: String,
    ) -> Result<bool, Error> {
        let caps = caps(kind, self.config);
        let number = |n: u128| n.to_string().into_bytes();
        let args = [
            id.to_owned().into_bytes(),
            record,
            number(caps.count as u128),
            number(caps.age.as_millis()),
            number(caps.bytes as u128),
        ];
        let (queue, keys) = (self.client.queue(), self.client.keys().letters(kind).all());
        let gone: Vec<String> =
            queue.eval(&script::LETTER, &keys, &args, &[]).await.map_err(redis(operation))?;
        let (gave_way, _) = gone.as_chunks::<2>();
        for [id, why] in gave_way {
            let setting = setting(kind);
            let cap = if why == "count" { setting.to_owned() } else { format!("{setting}_{why}") };
            if self.floods.note(Flood::new(What::GaveWay, None, Some(&cap)), 1) {
                tracing::warn!(
                    id, kind = ?kind,
                    "a kept message had to give way to {cap}, and is lost"
                );
            }
        }
        Ok(gave_way.len() == BATCH)
    }
}
