//! Python's pickle format, read and written as data: nothing is ever imported or executed.

mod class;
mod input;
mod opcode;
mod read;
mod skim;
mod value;
mod write;

pub(crate) use read::read;
pub(crate) use skim::text_of;
pub(crate) use write::write;

use crate::format::FormatError;

/// The most values that one pickle may make, counted again each time one is shared.
const MAX_ELEMENTS: usize = 1_000_000;

/// The most bytes of text and binary that one pickle may make, counted likewise.
const MAX_BYTES: usize = 64 << 20;

/// What one pickle may still make. Sharing lets 100 bytes stand for 2^50 values, so makers ask first.
#[derive(Debug)]
struct Budget {
    elements: usize,
    bytes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { elements: MAX_ELEMENTS, bytes: MAX_BYTES }
    }

    fn elements(&mut self, count: usize) -> Result<(), FormatError> {
        let error = FormatError::TooLarge { limit: MAX_ELEMENTS, of: "elements" };
        self.elements = self.elements.checked_sub(count).ok_or(error)?;
        Ok(())
    }

    fn bytes(&mut self, count: usize) -> Result<(), FormatError> {
        let error = FormatError::TooLarge { limit: MAX_BYTES, of: "unpacked bytes" };
        self.bytes = self.bytes.checked_sub(count).ok_or(error)?;
        Ok(())
    }
}
