//! A session and what it holds.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;

use super::{age, key::SessionKey};
use crate::{FormatError, PyValue, client::Ttl};

const USER: &str = "_auth_user_id";
const USER_BACKEND: &str = "_auth_user_backend";
const USER_HASH: &str = "_auth_user_hash";
const EXPIRY: &str = "_session_expiry";

/// What a session holds: a dict, in its order, with whatever its other writers put there.
///
/// `Debug` shows how much it holds and none of it.
#[derive(Clone, Default, PartialEq)]
pub struct SessionData {
    pairs: Vec<(PyValue, PyValue)>,
    /// Whether it is an `OrderedDict`, and stays one.
    ordered: bool,
}

/// Who is logged in, as `django.contrib.auth.login` writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// `_auth_user_id`: the primary key as text.
    pub user: String,
    /// `_auth_user_backend`: the path of the authentication backend. Django takes a login for none
    /// when its `AUTHENTICATION_BACKENDS` has no such path.
    pub backend: String,
    /// `_auth_user_hash`, for [`SecretKeys::check`](super::SecretKeys::check); empty when there is
    /// none.
    pub hash: String,
}

/// A session as it was read or created, and what has been changed in it since.
///
/// Changes are in memory until [`Sessions::update`](super::Sessions::update). `Debug` shows neither
/// key nor values.
#[derive(Clone)]
pub struct Session {
    pub(super) key: SessionKey,
    pub(super) data: SessionData,
    pub(super) ttl: Ttl,
    /// The bytes in Redis as far as we know: what an update compares with.
    pub(super) stored: Vec<u8>,
    changes: BTreeMap<String, Option<PyValue>>,
}

impl SessionData {
    /// Takes what was stored, if it is a dict.
    pub(super) fn of(value: PyValue) -> Result<Self, FormatError> {
        match value {
            PyValue::Dict(pairs) => Ok(Self { pairs, ordered: false }),
            PyValue::OrderedDict(pairs) => Ok(Self { pairs, ordered: true }),
            _ => Err(FormatError::unsupported("a session that is no dict")),
        }
    }

    /// Returns the dict itself.
    pub fn to_value(&self) -> PyValue {
        let pairs = self.pairs.clone();
        if self.ordered { PyValue::OrderedDict(pairs) } else { PyValue::Dict(pairs) }
    }

    /// Returns a value.
    pub fn get(&self, key: &str) -> Option<&PyValue> {
        self.pairs.iter().rev().find(|(k, _)| is(k, key)).map(|(_, value)| value)
    }

    /// Puts a value in, in place of the one of this key.
    pub fn insert(&mut self, key: &str, value: PyValue) {
        let pairs = &mut self.pairs;
        let at = pairs.iter().position(|(k, _)| is(k, key));
        match at {
            Some(at) => {
                pairs[at].1 = value;
                // A pickle may hold a key twice; the last one counts, and one of them is enough.
                let mut idx = 0;
                pairs.retain(|(k, _)| {
                    idx += 1;
                    idx - 1 == at || !is(k, key)
                });
            }
            None => pairs.push((key.into(), value)),
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &str) {
        self.pairs.retain(|(k, _)| !is(k, key));
    }

    /// Goes through all pairs. Keys are text, unless an application does as it likes.
    pub fn iter(&self) -> impl Iterator<Item = (&PyValue, &PyValue)> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }

    /// Returns how many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Tells whether there are none. An empty session is nobody's.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns who is logged in; `None` for an anonymous visitor.
    ///
    /// As in Django, a login without its backend is none. Whether the password has been changed
    /// since is for [`SecretKeys::check`](super::SecretKeys::check) to say.
    pub fn login(&self) -> Option<Login> {
        let text = |key: &str| match self.get(key) {
            Some(PyValue::Str(text)) => Some(text.clone()),
            _ => None,
        };
        Some(Login {
            user: self.user()?,
            backend: text(USER_BACKEND)?,
            hash: text(USER_HASH).unwrap_or_default(),
        })
    }

    /// Returns `_auth_user_id`, whether Django takes it for a login or not.
    pub fn user(&self) -> Option<String> {
        match self.get(USER)? {
            PyValue::Str(user) if !user.is_empty() => Some(user.clone()),
            PyValue::Int(user) => Some(user.to_string()),
            PyValue::Uuid(user) => Some(user.to_string()),
            _ => None,
        }
    }

    /// Returns how long a session that holds this lives from now: Django's `get_expiry_age()`. Zero
    /// means that it is over.
    ///
    /// `_session_expiry` counts, as `set_expiry()` writes it; without it the session lives for
    /// `default`.
    pub fn age(&self, default: Duration) -> Duration {
        age::of(self.get(EXPIRY), default, Timestamp::now())
    }
}

impl Session {
    pub(super) fn new(key: SessionKey, data: SessionData, ttl: Ttl, stored: Vec<u8>) -> Self {
        Self { key, data, ttl, stored, changes: BTreeMap::new() }
    }

    /// Returns the key, for the cookie.
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// Returns what it holds, with the changes.
    pub fn data(&self) -> &SessionData {
        &self.data
    }

    /// Returns how long it was to live when it was read or written.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Returns a value.
    pub fn get(&self, key: &str) -> Option<&PyValue> {
        self.data.get(key)
    }

    /// Returns who is logged in; see [`SessionData::login`].
    pub fn login(&self) -> Option<Login> {
        self.data.login()
    }

    /// Changes a value, in memory.
    pub fn insert(&mut self, key: &str, value: PyValue) {
        self.data.insert(key, value.clone());
        self.changes.insert(key.to_owned(), Some(value));
    }

    /// Takes a value out, in memory.
    pub fn remove(&mut self, key: &str) {
        self.data.remove(key);
        self.changes.insert(key.to_owned(), None);
    }

    /// Takes over what somebody else has written meanwhile, and makes our changes to it.
    pub(super) fn rebase(&mut self, theirs: Self) {
        let mut data = theirs.data;
        for (key, change) in &self.changes {
            match change {
                Some(value) => data.insert(key, value.clone()),
                None => data.remove(key),
            }
        }
        (self.data, self.stored, self.ttl) = (data, theirs.stored, theirs.ttl);
    }

    /// Notes that it stands in Redis as it is here.
    pub(super) fn written(&mut self, stored: Vec<u8>, ttl: Ttl) {
        (self.stored, self.ttl) = (stored, ttl);
        self.changes.clear();
    }
}

/// Pairs as they are; of a key that comes twice the last one counts.
impl<K: Into<PyValue>> FromIterator<(K, PyValue)> for SessionData {
    fn from_iter<I: IntoIterator<Item = (K, PyValue)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self { pairs, ordered: false }
    }
}

impl Login {
    /// Writes the login into a session, as `django.contrib.auth.login` does.
    ///
    /// A session that was the visitor's before gets another key first
    /// ([`Sessions::cycle_key`](super::Sessions::cycle_key)), so that nobody who planted the old
    /// one is logged in, too.
    pub fn write(&self, session: &mut Session) {
        session.insert(USER, self.user.as_str().into());
        session.insert(USER_BACKEND, self.backend.as_str().into());
        session.insert(USER_HASH, self.hash.as_str().into());
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionData({} hidden)", self.len())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("data", &self.data)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

fn is(key: &PyValue, text: &str) -> bool {
    matches!(key, PyValue::Str(key) if key == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, PyValue)]) -> SessionData {
        pairs.iter().map(|(key, value)| (*key, value.clone())).collect()
    }

    fn session(pairs: &[(&str, PyValue)]) -> Session {
        Session::new(SessionKey::parse("abcdefgh").unwrap(), data(pairs), Ttl::Never, vec![1])
    }

    #[test]
    fn a_login_needs_its_user_and_its_backend() {
        let all = [(USER, "7".into()), (USER_BACKEND, "b".into()), (USER_HASH, "h".into())];
        let login = Login { user: "7".into(), backend: "b".into(), hash: "h".into() };
        assert_eq!(data(&all).login(), Some(login));
        assert_eq!(data(&all[..1]).login(), None);
        assert_eq!(data(&all[1..]).login(), None);
        assert_eq!(data(&all[..2]).login().unwrap().hash, "");
        let user =
            |user: PyValue| data(&[(USER, user), all[1].clone()]).login().map(|login| login.user);
        assert_eq!(user(PyValue::Int(7)).as_deref(), Some("7"));
        assert_eq!(user("".into()), None);
        assert_eq!(user(PyValue::None), None);
        assert_eq!(user(PyValue::List(vec![])), None);
    }

    #[test]
    fn a_value_takes_the_place_of_the_one_before_however_often_it_stood_there() {
        let one = |k: &str, n| (PyValue::from(k), PyValue::Int(n));
        let odd = (PyValue::Int(3), PyValue::None);
        let mut data: SessionData =
            [one("a", 1), one("b", 2), odd.clone(), one("a", 3)].into_iter().collect();
        assert_eq!(data.get("a"), Some(&PyValue::Int(3)));
        data.insert("a", PyValue::Int(4));
        let expect: SessionData = [one("a", 4), one("b", 2), odd.clone()].into_iter().collect();
        assert_eq!(data, expect);
        data.remove("b");
        data.insert("c", PyValue::Int(5));
        assert_eq!(data, [one("a", 4), odd, one("c", 5)].into_iter().collect());
    }

    #[test]
    fn changes_are_made_again_to_what_somebody_else_has_written() {
        let (one, two) = (PyValue::Int(1), PyValue::Int(2));
        let mut ours = session(&[("a", one.clone()), ("b", one.clone())]);
        ours.insert("a", two.clone());
        ours.remove("b");
        ours.rebase(session(&[("b", two.clone()), ("theirs", two.clone())]));
        assert_eq!(ours.data, data(&[("theirs", two.clone()), ("a", two)]));
    }

    #[test]
    fn nothing_that_a_session_holds_is_printed() {
        let mut session = session(&[("card", "4111".into())]);
        session.insert(USER_HASH, "c603186d".into());
        let shown = format!("{session:?}");
        assert!(
            !shown.contains("4111") && !shown.contains("abcdefgh") && !shown.contains("c603"),
            "{shown}"
        );
    }
}
