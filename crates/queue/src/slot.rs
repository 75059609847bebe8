//! Slots of a cluster: which keys one script may touch.

/// Returns the part of a key by which Redis Cluster chooses its slot, where the key names one:
/// between the first `{` and the next `}`, if there is anything.
pub fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}
