//! Reading a whole hash in steps that are each bounded.

use rhubarb_connection::{Pages, Redis};

use crate::{Error, error::redis};

/// How many fields one step asks for. Redis may answer more of a small hash.
const STEP: usize = 500;
/// The most bytes that the names and values of one hash may have together.
const BYTES: usize = 256 << 20;

/// Hands over every field of a hash. One that changes meanwhile is handed over as it was or as it
/// is, some twice.
///
/// # Errors
///
/// [`Error::Redis`]; [`Error::Refused`] where it has more than 256 MiB.
pub(crate) async fn scan(
    redis_: &Redis,
    key: &str,
    what: &str,
    mut take: impl FnMut(String, String),
) -> Result<(), Error> {
    let mut pages = Pages::new(::redis::cmd("HLEN").arg(key).to_owned(), STEP);
    let (mut cursor, mut bytes) = (0_u64, 0);
    loop {
        pages.turn(redis_).await.map_err(redis(what.to_owned()))?;
        let mut step = ::redis::cmd("HSCAN");
        step.arg(key).arg(cursor).arg("COUNT").arg(STEP);
        let (next, fields): (u64, Vec<Vec<u8>>) =
            redis_.query(&step).await.map_err(redis(what.to_owned()))?;
        bytes += fields.iter().map(Vec::len).sum::<usize>();
        if bytes > BYTES {
            return Err(Error::Refused(format!(
                "`{key}` has more than {} MiB and is not read to its end",
                BYTES >> 20
            )));
        }
        let mut fields = fields.into_iter().map(|field| String::from_utf8(field).ok());
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            if let Some((name, value)) = name.zip(value) {
                take(name, value);
            }
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}
