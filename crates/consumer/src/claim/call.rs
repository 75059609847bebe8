//! What a claim is called with.

use rhubarb_queue::keys::QueueKeys;

use crate::Shared;

/// The keys of a claim.
pub(crate) fn keys(shared: &Shared, queue: &QueueKeys) -> Vec<String> {
    let mut keys = vec![
        queue.claims(&shared.id),
        queue.leases.clone(),
        queue.scheduled.clone(),
        queue.paused.clone(),
        queue.deliveries.clone(),
    ];
    keys.extend(queue.lists.iter().cloned());
    keys
}

/// The arguments of a claim of up to `n` messages.
pub(crate) fn arguments(shared: &Shared, n: usize, number: u64) -> Vec<Vec<u8>> {
    vec![
        n.to_string().into_bytes(),
        shared.id.clone().into_bytes(),
        shared.config.lease.as_millis().to_string().into_bytes(),
        number.to_string().into_bytes(),
        shared.config.max_message_bytes.to_string().into_bytes(),
        at_once(shared).to_string().into_bytes(),
    ]
}

/// How many bytes of messages a claim hands out, and how many a piece of one has.
pub(super) fn at_once(shared: &Shared) -> usize {
    shared.handout.at_once().min(shared.config.max_message_bytes)
}

/// What goes before a claim so that the server tracks the keys that it reads.
pub(crate) fn caching(shared: &Shared) -> Vec<::redis::Cmd> {
    let mut caching = ::redis::cmd("CLIENT");
    caching.arg("CACHING").arg("YES");
    if shared.queue.tracks() { vec![caching] } else { Vec::new() }
}
