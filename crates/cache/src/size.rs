//! How large a value may be.

use crate::{Bound, FormatError};

/// The greatest value that is read or written, in bytes, before and after decompression.
pub const MAX_VALUE: usize = rhubarb_pyvalue::MAX_BYTES;

pub(crate) fn check_size(len: usize) -> Result<(), FormatError> {
    if len > MAX_VALUE {
        Err(FormatError::TooLarge { limit: MAX_VALUE, of: Bound::Bytes })
    } else {
        Ok(())
    }
}
