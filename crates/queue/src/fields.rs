//! Reading fields of a large hash without taking more than a bounded number of bytes at once.

use rhubarb_connection::Redis;

use crate::{Error, error::redis, script};

/// How much one answer holds, unless a single field is larger.
const BYTES: usize = 4 * 1024 * 1024;

/// A field's name and what it holds; `None` when it has gone.
pub type Field = (Vec<u8>, Option<Vec<u8>>);

/// Splits fields of a hash into groups that can be read at once, in their order.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn groups(
    redis_: &Redis,
    key: &str,
    fields: Vec<Vec<u8>>,
) -> Result<Vec<Vec<Vec<u8>>>, Error> {
    let mut pipeline = ::redis::pipe();
    for field in &fields {
        pipeline.cmd("HSTRLEN").arg(key).arg(field);
    }
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let sizes: Vec<usize> =
        redis_.pipe(&pipeline).await.map_err(redis(format!("measure the fields of `{key}`")))?;
    Ok(split(fields, &sizes))
}

fn split(fields: Vec<Vec<u8>>, sizes: &[usize]) -> Vec<Vec<Vec<u8>>> {
    let mut groups: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut bytes = BYTES;
    for (field, size) in fields.into_iter().zip(sizes) {
        bytes += size;
        match groups.last_mut().filter(|_| bytes <= BYTES) {
            Some(group) => group.push(field),
            None => {
                groups.push(vec![field]);
                bytes = *size;
            }
        }
    }
    groups
}

/// Reads a group of fields.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn read(redis_: &Redis, key: &str, group: Vec<Vec<u8>>) -> Result<Vec<Field>, Error> {
    if let [field] = group.as_slice() {
        let value = in_pieces(redis_, key, field, BYTES).await?;
        return Ok(group.into_iter().map(|field| (field, value.clone())).collect());
    }
    let mut get = ::redis::cmd("HMGET");
    get.arg(key).arg(&group);
    let values: Vec<Option<Vec<u8>>> =
        redis_.query(&get).await.map_err(redis(format!("read fields of `{key}`")))?;
    Ok(group.into_iter().zip(values).collect())
}

/// Reads one field, at most `at_once` bytes in each answer; none when it has gone.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn in_pieces(
    redis_: &Redis,
    key: &str,
    field: &[u8],
    at_once: usize,
) -> Result<Option<Vec<u8>>, Error> {
    let keys = [key.to_owned()];
    let (mut value, mut size) = (Vec::new(), None);
    loop {
        let args = [field.to_vec(), value.len().to_string().into(), at_once.to_string().into()];
        let piece: Option<(usize, Vec<u8>)> = redis_
            .eval(&script::PIECE, &keys, &args, &[])
            .await
            .map_err(redis(format!("read a field of `{key}`")))?;
        let Some((whole, piece)) = piece else { return Ok(None) };
        if size.replace(whole).is_some_and(|before| before != whole) {
            // Another value stands there by now.
            value.clear();
            continue;
        }
        value.extend(piece);
        if value.len() >= whole {
            return Ok(Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_bounded_unless_one_field_alone_is_larger() {
        let fields: Vec<Vec<u8>> = (0..5).map(|n| vec![n]).collect();
        let sizes = [BYTES / 2, BYTES / 2, 1, 3 * BYTES, 1];
        let groups = split(fields, &sizes);
        let lens: Vec<usize> = groups.iter().map(Vec::len).collect();
        assert_eq!(lens, [2, 1, 1, 1]);
        assert_eq!(groups.concat().concat(), [0, 1, 2, 3, 4]);
    }
}
