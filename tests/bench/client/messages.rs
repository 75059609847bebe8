//! Messages from a template.

use uuid::Uuid;

/// A message in pieces, between which fresh ids come.
#[derive(Debug)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Id,
    Tag,
}

impl Template {
    /// Reads a template: `@ID@` stands for the task's id, `@TAG@` for another one.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        for (n, part) in text.split("@ID@").enumerate() {
            if n > 0 {
                pieces.push(Piece::Id);
            }
            for (n, text) in part.split("@TAG@").enumerate() {
                if n > 0 {
                    pieces.push(Piece::Tag);
                }
                pieces.push(Piece::Text(text.to_owned()));
            }
        }
        Self(pieces)
    }

    /// Returns how long each message is.
    pub(crate) fn message_len(&self) -> usize {
        let len = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Id | Piece::Tag => uuid::fmt::Hyphenated::LENGTH,
        };
        self.0.iter().map(len).sum()
    }

    /// Appends a message with these ids.
    pub(crate) fn write(&self, id: Uuid, tag: Uuid, to: &mut Vec<u8>) {
        let mut buffer = Uuid::encode_buffer();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => to.extend_from_slice(text.as_bytes()),
                Piece::Id => {
                    to.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes())
                }
                Piece::Tag => {
                    to.extend_from_slice(tag.hyphenated().encode_lower(&mut buffer).as_bytes());
                }
            }
        }
    }
}

/// Returns an id as Celery's clients make them, without asking the system for each.
pub(crate) fn fresh_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_le_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_ids_in_their_places_and_the_length_that_was_told() {
        let template = Template::parse(r#"{"id": "@ID@", "root": "@ID@", "tag": "@TAG@"}"#);
        let (id, tag) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut message = Vec::new();
        template.write(id, tag, &mut message);
        let expect = format!(r#"{{"id": "{id}", "root": "{id}", "tag": "{tag}"}}"#);
        assert_eq!(String::from_utf8(message).unwrap(), expect);
        assert_eq!(template.message_len(), expect.len());
    }

    #[test]
    fn ids_are_random_uuids() {
        assert_eq!(fresh_id().get_version_num(), 4);
        assert_ne!(fresh_id(), fresh_id());
    }
}
