//! What calling a class with arguments means.

use std::borrow::Cow;

use jiff::{civil, tz::Offset};
use uuid::Uuid;

use super::{class::Class, value::Node};
use crate::{
    time::{DateTime, TimeDelta, TimeOfDay, Zone},
    value::{Decimal, PyValue},
};

/// Returns what the class makes of its arguments; `None` when it would not take them.
///
/// `set`, `frozenset` and `UUID`, which need the machine's memory of other values, are not made
/// here.
pub(super) fn call<'a>(class: Class, args: &[&Node<'a>]) -> Option<Node<'a>> {
    Some(match (class, args) {
        (Class::ByteArray, []) => Node::Value(PyValue::ByteArray(Vec::new())),
        (Class::ByteArray, [Node::Bytes(bytes)]) => Node::Value(PyValue::ByteArray(bytes.to_vec())),
        (Class::Bytes, []) => Node::Bytes(Cow::Borrowed(&[])),
        (Class::Encode, [Node::Str(text), Node::Str(codec)])
            if matches!(codec.as_ref(), "latin1" | "latin-1") =>
        {
            let bytes = text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok())
                .collect::<Option<Vec<_>>>()?;
            Node::Bytes(Cow::Owned(bytes))
        }
        (Class::Date, [Node::Bytes(state)]) => {
            Node::Value(PyValue::Date(date(state.get(..4)?, state.len() == 4)?))
        }
        (Class::DateTime, [Node::Bytes(state)]) => datetime(state, None)?,
        (Class::DateTime, [Node::Bytes(state), Node::TimeZone(offset)]) => {
            datetime(state, Some(*offset))?
        }
        (Class::DateTime, [Node::Bytes(state), Node::Zone(zone)]) => in_zone(state, zone)?,
        (Class::Time, [Node::Bytes(state)]) => time(state, None, None)?,
        (Class::Time, [Node::Bytes(state), Node::TimeZone(offset)]) => {
            time(state, Some(*offset), None)?
        }
        (Class::Time, [Node::Bytes(state), Node::Zone(zone)]) => time(state, None, Some(zone))?,
        (Class::GetAttr, [Node::Class(Class::ZoneInfo), Node::Str(name)])
            if name == "_unpickle" =>
        {
            Node::Class(Class::ZoneInfoUnpickle)
        }
        (
            Class::ZoneInfoUnpickle,
            [Node::Str(name), Node::Value(PyValue::Int(_) | PyValue::Bool(_))],
        ) => Node::Zone(Zone::new(name)?),
        (Class::Decimal, [Node::Str(text)]) => Node::Value(PyValue::Decimal(Decimal::new(text)?)),
        (Class::OrderedDict, []) => Node::Dict { pairs: Vec::new(), ordered: true },
        (
            Class::TimeDelta,
            [
                Node::Value(PyValue::Int(days)),
                Node::Value(PyValue::Int(seconds)),
                Node::Value(PyValue::Int(micros)),
            ],
        ) => Node::Value(PyValue::TimeDelta(TimeDelta::new(*days, *seconds, *micros)?)),
        (Class::TimeZone, [Node::Value(PyValue::TimeDelta(delta))]) => {
            Node::TimeZone(zone(*delta)?)
        }
        (
            Class::Reconstructor,
            [Node::Class(Class::Uuid), Node::Class(Class::Object), Node::Value(PyValue::None)],
        ) => Node::UnsetUuid,
        _ => return None,
    })
}

fn date(state: &[u8], whole: bool) -> Option<civil::Date> {
    let [high, low, month, day] = *state else { return None };
    let year = i16::try_from(u16::from_be_bytes([high, low])).ok()?;
    (whole && (1..=9999).contains(&year)).then_some(())?;
    civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn datetime<'a>(state: &[u8], offset: Option<Offset>) -> Option<Node<'a>> {
    let (civil, fold) = moment(state)?;
    Some(Node::Value(PyValue::DateTime(DateTime { civil, offset, fold, zone: None })))
}

fn in_zone<'a>(state: &[u8], zone: &Zone) -> Option<Node<'a>> {
    let (civil, fold) = moment(state)?;
    let offset = Some(zone.offset(civil, fold)?);
    Some(Node::Value(PyValue::DateTime(DateTime { civil, offset, fold, zone: Some(zone.clone()) })))
}

fn time<'a>(state: &[u8], offset: Option<Offset>, zone: Option<&Zone>) -> Option<Node<'a>> {
    let [hour, rest @ ..] = state else { return None };
    // PEP 495: from protocol 4 on, the hour's high bit is `fold`.
    let (fold, hour) = (hour & 0x80 != 0, hour & 0x7f);
    let civil = clock(hour, rest)?;
    Some(Node::Value(PyValue::Time(TimeOfDay { civil, fold, offset, zone: zone.cloned() })))
}

/// The wall clock's time, and whether it is the second pass of a repeated hour.
fn moment(state: &[u8]) -> Option<(civil::DateTime, bool)> {
    let [y1, y2, month, day, hour, rest @ ..] = state else { return None };
    // PEP 495: from protocol 4 on, the month's high bit is `fold`.
    let (fold, month) = (month & 0x80 != 0, month & 0x7f);
    let time = clock(*hour, rest)?;
    Some((date(&[*y1, *y2, month, *day], true)?.to_datetime(time), fold))
}

/// A time of day: the state's bytes behind the hour are minute, second and microseconds.
fn clock(hour: u8, rest: &[u8]) -> Option<civil::Time> {
    let [minute, second, u1, u2, u3] = *rest else { return None };
    let micros = u32::from_be_bytes([0, u1, u2, u3]);
    let nanos = i32::try_from(micros.checked_mul(1000)?).ok()?;
    let small = |byte: u8| i8::try_from(byte).ok();
    civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()
}

/// Python's offsets lie strictly inside a day; fractions of a second are allowed there but not
/// here.
fn zone(delta: TimeDelta) -> Option<Offset> {
    let (days, seconds, micros) = delta.parts();
    let total = days.checked_mul(86_400)?.checked_add(i32::try_from(seconds).ok()?)?;
    (micros == 0 && total.abs() < 86_400).then_some(())?;
    Offset::from_seconds(total).ok()
}

/// Returns the UUID of the state's `int`; `is_safe` says how it was made and is not part of the
/// value.
pub(super) fn uuid<'n, 'a: 'n>(
    mut state: impl Iterator<Item = (&'n Node<'a>, &'n Node<'a>)>,
) -> Option<Uuid> {
    let (_, number) = state.find(|(key, _)| matches!(key, Node::Str(key) if key == "int"))?;
    let number = match number {
        Node::Value(PyValue::Int(n)) => u128::try_from(*n).ok()?,
        Node::Value(PyValue::BigInt(n)) => u128::try_from(n).ok()?,
        _ => return None,
    };
    Some(Uuid::from_u128(number))
}
