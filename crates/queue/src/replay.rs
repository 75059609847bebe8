//! Brings kept messages back: a dead letter that is to be tried again, a parked task that a worker knows by now.

use rhubarb_wire::Envelope;

use crate::{
    Client, Error,
    error::redis,
    keys::QueueKeys,
    letter::{self, Kind},
};

/// Puts a kept message back on its queue, to run next; tells whether there was such a letter.
///
/// The old result is removed first, so that the new run can store its own. Dying in the middle leaves the letter
/// beside its message: replaying again then runs it twice, as at-least-once allows.
///
/// # Errors
///
/// [`Error::Refused`] when the message itself was not kept (it was too large); [`Error::Redis`].
pub async fn replay(client: &Client, kind: Kind, id: &str) -> Result<bool, Error> {
    let Some(letter) = letter::find(client.queue(), kind, id).await? else { return Ok(false) };
    let Some(bytes) = letter.bytes() else {
        return Err(Error::Refused(format!(
            "the message of `{id}` was too large to keep ({} bytes); raise worker.max_message_bytes and publish it anew",
            letter.size
        )));
    };
    let envelope = Envelope::decode(&bytes).ok();
    if let Some(envelope) = &envelope {
        client.forget_result(&envelope.headers.id).await?;
    }
    let keys = QueueKeys::new(&letter.queue, client.celery());
    let list = keys.list_for(envelope.as_ref().map_or(0, |envelope| envelope.properties.priority));
    let mut push = ::redis::cmd("RPUSH");
    push.arg(list).arg(bytes);
    let _: u64 = client.queue().query(&push).await.map_err(redis(format!("replay `{id}`")))?;
    letter::drop_letter(client.queue(), kind, id).await
}
