//! How much one value may take, counted before it is taken.

use serde_json::Value;

use crate::error::{Bound, FormatError};

/// The greatest value that is written, bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// How deep a [`PyValue`](crate::PyValue) may be nested; `serde_json` has the same limit.
pub(crate) const MAX_DEPTH: usize = 128;

/// The most values that a [`PyValue`](crate::PyValue) may hold.
const MAX_ELEMENTS: usize = 1_000_000;

/// The most bytes of text and binary that one pickle may make, counted again each time one is
/// shared.
const MAX_UNPACKED: usize = 64 << 20;

/// The memory that the values of a short text may take, bytes.
const LEAST_MEMORY: usize = 64 << 20;

/// How many times its own length the values of a long text may take.
const TIMES: usize = 12;

/// The memory that a message may take beside twice its own length, bytes: its body is one text, and
/// all the rest of it is held for as long as the task is.
const MESSAGE_MEMORY: usize = 4 << 20;

/// About what a text or the members of a container take beside their bytes: what the allocator
/// adds.
pub(crate) const BLOCK: usize = 32;

/// About what a member of an object takes beside its value, bytes: its hash, its key and its places
/// in the index.
pub(crate) const MEMBER: usize = size_of::<(usize, String)>() + 2 * size_of::<usize>();

/// What may still be taken for one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    elements: usize,
    bytes: usize,
    pub(crate) limit: usize,
    pub(crate) depth: usize,
}

impl Budget {
    const fn new(bytes: usize, depth: usize) -> Self {
        Self { elements: usize::MAX, bytes, limit: bytes, depth }
    }

    /// That of our own values; their caller bounds the bytes that they are read from.
    pub(crate) const fn of_python() -> Self {
        Self { elements: MAX_ELEMENTS, ..Self::new(usize::MAX, MAX_DEPTH) }
    }

    /// The same for a pickle. Sharing lets 100 bytes stand for 2^50 values, so makers ask first.
    pub(crate) const fn of_pickle() -> Self {
        Self { elements: MAX_ELEMENTS, ..Self::new(MAX_UNPACKED, MAX_DEPTH) }
    }

    /// That for the values of `length` bytes of JSON.
    pub(crate) fn of_json(length: usize, depth: usize) -> Self {
        Self::new(LEAST_MEMORY.max(length.saturating_mul(TIMES)), depth)
    }

    /// That for a message of `length` bytes whose body stays a text.
    pub(crate) fn of_message(length: usize, depth: usize) -> Self {
        Self::new(length.saturating_mul(2).saturating_add(MESSAGE_MEMORY), depth)
    }

    /// Counts a value with its bytes.
    pub(crate) fn value(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.elements(1)?;
        self.bytes(size_of::<Value>() + bytes + if bytes > 0 { BLOCK } else { 0 })
    }

    /// Counts a member's key.
    pub(crate) fn key(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.bytes(MEMBER + bytes + BLOCK)
    }

    /// Counts a container that has members.
    pub(crate) fn container(&mut self) -> Result<(), FormatError> {
        self.bytes(2 * BLOCK)
    }

    pub(crate) fn elements(&mut self, count: usize) -> Result<(), FormatError> {
        let error = || FormatError::TooLarge { limit: MAX_ELEMENTS, of: Bound::Elements };
        self.elements = self.elements.checked_sub(count).ok_or_else(error)?;
        Ok(())
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<(), FormatError> {
        let error = || FormatError::TooLarge { limit: self.limit, of: Bound::Unpacked };
        self.bytes = self.bytes.checked_sub(count).ok_or_else(error)?;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn spent(&self) -> usize {
        self.limit - self.bytes
    }
}

pub(crate) fn check_size(len: usize) -> Result<(), FormatError> {
    if len > MAX_BYTES {
        return Err(FormatError::TooLarge { limit: MAX_BYTES, of: Bound::Bytes });
    }
    Ok(())
}

pub(crate) fn check_depth(depth: usize) -> Result<(), FormatError> {
    if depth > MAX_DEPTH { Err(too_deep(MAX_DEPTH)) } else { Ok(()) }
}

pub(crate) fn too_deep(limit: usize) -> FormatError {
    FormatError::TooLarge { limit, of: Bound::Levels }
}
