//! How a record is written: `RLIFE`, the format's number, then JSON compressed by zstd.

use super::record::Record;

const MAGIC: &[u8] = b"RLIFE";
/// A reader takes no other number: what a later version writes is as absent.
const VERSION: u8 = 1;
/// Fast, and a record shrinks to about a tenth.
const LEVEL: i32 = 1;
/// No record is larger: it is cut to a quarter of that before it is written.
const MAX_JSON: usize = 32 << 20;

/// Returns a record's bytes; nothing when it cannot be written.
pub fn encode(record: &Record) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(record).ok().filter(|json| json.len() <= MAX_JSON)?;
    let mut bytes = [MAGIC, &[VERSION]].concat();
    bytes.extend(zstd::bulk::compress(&json, LEVEL).ok()?);
    Some(bytes)
}

/// Reads a record; nothing when these are not the bytes of one, or those of a later version.
pub fn decode(bytes: &[u8]) -> Option<Record> {
    let (version, body) = bytes.strip_prefix(MAGIC)?.split_first()?;
    if *version != VERSION {
        return None;
    }
    let json = zstd::bulk::decompress(body, MAX_JSON).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rhubarb_scrape::Listing;

    use super::*;
    use crate::life::Posting;

    fn record() -> Record {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let listing = Listing { title: "Cook".into(), ..Listing::default() };
        let postings = vec![Posting::new(&listing, "a1".into(), now)];
        Record { postings, left_out: 3 }
    }

    #[test]
    fn a_record_comes_back() {
        assert_eq!(decode(&encode(&record()).unwrap()), Some(record()));
    }

    #[test]
    fn a_later_format_and_broken_bytes_are_no_record() {
        let whole = encode(&record()).unwrap();
        let mut later = whole.clone();
        later[MAGIC.len()] = VERSION + 1;
        assert_eq!(decode(&later), None);
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end]), None, "{end}");
        }
        assert_eq!(decode(b"(lp0\n."), None, "a pickle");
    }

    #[test]
    fn a_small_value_that_says_that_it_is_endless_is_not_believed() {
        let zeros = zstd::bulk::compress(&vec![b' '; MAX_JSON + 1], LEVEL).unwrap();
        assert!(zeros.len() < 10_000);
        assert_eq!(decode(&[MAGIC, &[VERSION], &zeros].concat()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, at in 0_usize..200, byte: u8) {
            decode(&bytes);
            bytes.splice(..0, [MAGIC, &[VERSION]].concat());
            decode(&bytes);
            let mut whole = encode(&record()).unwrap();
            let at = at % whole.len();
            whole[at] = byte;
            decode(&whole);
        }
    }
}
