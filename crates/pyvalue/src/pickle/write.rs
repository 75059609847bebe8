//! The writer: protocol 4, as django-redis writes on every Python it runs on.

use std::collections::HashMap;

use jiff::{civil, tz::Offset};
use num_bigint::BigInt;

use super::{class::Class, opcode as op, value::unhashable};
use crate::{
    error::FormatError,
    limits::{MAX_BYTES, check_depth, check_size},
    time::{DateTime, TimeOfDay, Zone},
    value::PyValue,
};

/// Returns the pickle of a value; dict keys that come again are written once and referred to.
///
/// # Errors
/// `TooLarge` beyond the caps on depth and size, `Unsupported` for what Python could not load: an
/// unhashable key, a year before 1, an offset of a day or more.
pub fn write(value: &PyValue) -> Result<Vec<u8>, FormatError> {
    let mut writer = Writer { out: Vec::with_capacity(room(value)), keys: HashMap::new() };
    writer.out.extend([op::PROTO, 4]);
    writer.value(value, 0)?;
    writer.out.push(op::STOP);
    Ok(writer.out)
}

/// Returns about how many bytes a long list of records takes, so that its bytes never stand there
/// twice while they grow; nothing for anything else.
fn room(value: &PyValue) -> usize {
    const LONG: usize = 64;
    let own = |value: &PyValue| match value {
        PyValue::Str(text) => text.len() + 5,
        _ => 9,
    };
    match value {
        PyValue::List(items) if items.len() >= LONG => {
            let of_record = |item: &PyValue| match item {
                PyValue::Dict(pairs) => pairs.iter().map(|(_, value)| own(value) + 5).sum(),
                item => own(item),
            };
            items.iter().map(of_record).sum::<usize>().min(MAX_BYTES)
        }
        _ => 0,
    }
}

struct Writer<'v> {
    out: Vec<u8>,
    /// The memo's index of each key written so far.
    keys: HashMap<&'v str, u32>,
}

impl<'v> Writer<'v> {
    fn value(&mut self, value: &'v PyValue, depth: usize) -> Result<(), FormatError> {
        check_depth(depth)?;
        check_size(self.out.len())?;
        match value {
            PyValue::None => self.out.push(op::NONE),
            PyValue::Bool(b) => self.out.push(if *b { op::NEWTRUE } else { op::NEWFALSE }),
            PyValue::Int(i) => self.int(*i),
            PyValue::BigInt(i) => self.long(&i.to_signed_bytes_le())?,
            PyValue::Float(f) => self.code(op::BINFLOAT, &f.to_be_bytes()),
            PyValue::Str(s) => {
                self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], s.as_bytes())?
            }
            PyValue::Bytes(b) => self.counted([op::SHORT_BINBYTES, op::BINBYTES], b)?,
            PyValue::List(items) => self.items(op::EMPTY_LIST, op::APPENDS, items, depth)?,
            PyValue::Set(items) => {
                hashable(items)?;
                self.items(op::EMPTY_SET, op::ADDITEMS, items, depth)?;
            }
            PyValue::FrozenSet(items) => {
                hashable(items)?;
                self.marked(op::FROZENSET, items, depth)?;
            }
            PyValue::Tuple(items) if items.is_empty() => self.out.push(op::EMPTY_TUPLE),
            PyValue::Tuple(items) => self.marked(op::TUPLE, items, depth)?,
            PyValue::Dict(pairs) => {
                self.out.push(op::EMPTY_DICT);
                self.pairs(pairs, depth)?;
            }
            PyValue::OrderedDict(pairs) => {
                self.class(Class::OrderedDict)?;
                self.out.extend([op::EMPTY_TUPLE, op::REDUCE]);
                self.pairs(pairs, depth)?;
            }
            object => self.object(object)?,
        }
        Ok(())
    }

    /// Values that Python makes by calling a class.
    fn object(&mut self, value: &PyValue) -> Result<(), FormatError> {
        match value {
            PyValue::ByteArray(bytes) => {
                self.class(Class::ByteArray)?;
                self.counted([op::SHORT_BINBYTES, op::BINBYTES], bytes)?;
                self.out.extend([op::TUPLE1, op::REDUCE]);
            }
            PyValue::Date(date) => {
                self.class(Class::Date)?;
                self.counted([op::SHORT_BINBYTES, op::BINBYTES], &date_state(*date)?)?;
                self.out.extend([op::TUPLE1, op::REDUCE]);
            }
            PyValue::DateTime(at) => self.datetime(at)?,
            PyValue::Time(at) => self.time(at)?,
            PyValue::TimeDelta(delta) => {
                let (days, seconds, microseconds) = delta.parts();
                self.timedelta(days, seconds, microseconds)?;
            }
            PyValue::Decimal(decimal) => {
                self.class(Class::Decimal)?;
                self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], decimal.as_str().as_bytes())?;
                self.out.extend([op::TUPLE1, op::REDUCE]);
            }
            PyValue::Uuid(uuid) => {
                self.class(Class::Uuid)?;
                self.out.extend([op::EMPTY_TUPLE, op::NEWOBJ, op::EMPTY_DICT]);
                self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], b"int")?;
                match i64::try_from(uuid.as_u128()) {
                    Ok(small) => self.int(small),
                    Err(_) => self.long(&BigInt::from(uuid.as_u128()).to_signed_bytes_le())?,
                }
                self.out.extend([op::SETITEM, op::BUILD]);
            }
            _ => return Err(FormatError::unsupported("a value of no class")),
        }
        Ok(())
    }

    fn datetime(&mut self, at: &DateTime) -> Result<(), FormatError> {
        let mut state = date_state(at.civil.date())?;
        state[2] |= if at.fold { 0x80 } else { 0 };
        state.extend(time_state(at.civil.time()));
        self.class(Class::DateTime)?;
        self.counted([op::SHORT_BINBYTES, op::BINBYTES], &state)?;
        self.in_zone(at.zone.as_ref(), at.offset)
    }

    fn time(&mut self, at: &TimeOfDay) -> Result<(), FormatError> {
        let mut state = time_state(at.civil);
        state[0] |= if at.fold { 0x80 } else { 0 };
        self.class(Class::Time)?;
        self.counted([op::SHORT_BINBYTES, op::BINBYTES], &state)?;
        self.in_zone(at.zone.as_ref(), at.offset)
    }

    /// Ends the call of a class whose second argument is a time zone, where there is one.
    fn in_zone(&mut self, zone: Option<&Zone>, offset: Option<Offset>) -> Result<(), FormatError> {
        if let Some(zone) = zone {
            self.zone(zone)?;
            self.out.extend([op::TUPLE2, op::REDUCE]);
            return Ok(());
        }
        let Some(offset) = offset else {
            self.out.extend([op::TUPLE1, op::REDUCE]);
            return Ok(());
        };
        let total = offset.seconds();
        if total.abs() >= 86_400 {
            return Err(FormatError::unsupported("an offset of a day or more"));
        }
        self.class(Class::TimeZone)?;
        self.timedelta(total.div_euclid(86_400), total.rem_euclid(86_400).cast_unsigned(), 0)?;
        self.out.extend([op::TUPLE1, op::REDUCE, op::TUPLE2, op::REDUCE]);
        Ok(())
    }

    /// `getattr(ZoneInfo, "_unpickle")(name, True)`, as `ZoneInfo.__reduce__` has it.
    fn zone(&mut self, zone: &Zone) -> Result<(), FormatError> {
        self.class(Class::GetAttr)?;
        self.class(Class::ZoneInfo)?;
        self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], b"_unpickle")?;
        self.out.extend([op::TUPLE2, op::REDUCE]);
        self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], zone.name().as_bytes())?;
        self.int(1);
        self.out.extend([op::TUPLE2, op::REDUCE]);
        Ok(())
    }

    fn timedelta(&mut self, days: i32, seconds: u32, microseconds: u32) -> Result<(), FormatError> {
        self.class(Class::TimeDelta)?;
        self.int(days.into());
        self.int(seconds.into());
        self.int(microseconds.into());
        self.out.extend([op::TUPLE3, op::REDUCE]);
        Ok(())
    }

    fn int(&mut self, i: i64) {
        if let Ok(i) = u8::try_from(i) {
            self.code(op::BININT1, &[i]);
        } else if let Ok(i) = u16::try_from(i) {
            self.code(op::BININT2, &i.to_le_bytes());
        } else if let Ok(i) = i32::try_from(i) {
            self.code(op::BININT, &i.to_le_bytes());
        } else {
            self.code(op::LONG1, &[8]);
            self.out.extend(i.to_le_bytes());
        }
    }

    fn long(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.counted([op::LONG1, op::LONG4], bytes)
    }

    fn class(&mut self, class: Class) -> Result<(), FormatError> {
        let (module, name) = class.names();
        self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], module.as_bytes())?;
        self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], name.as_bytes())?;
        self.out.push(op::STACK_GLOBAL);
        Ok(())
    }

    fn pairs(&mut self, pairs: &'v [(PyValue, PyValue)], depth: usize) -> Result<(), FormatError> {
        if pairs.is_empty() {
            return Ok(());
        }
        self.out.push(op::MARK);
        for (key, value) in pairs {
            match key {
                PyValue::Str(key) => self.key(key)?,
                key if key.is_hashable() => self.value(key, depth + 1)?,
                _ => return Err(unhashable()),
            }
            self.value(value, depth + 1)?;
        }
        self.out.push(op::SETITEMS);
        Ok(())
    }

    /// A listing has 25 keys: by name once, then by two bytes each.
    fn key(&mut self, key: &'v str) -> Result<(), FormatError> {
        if let Some(index) = self.keys.get(key).copied() {
            match u8::try_from(index) {
                Ok(short) => self.code(op::BINGET, &[short]),
                Err(_) => self.code(op::LONG_BINGET, &index.to_le_bytes()),
            }
            return Ok(());
        }
        self.counted([op::SHORT_BINUNICODE, op::BINUNICODE], key.as_bytes())?;
        self.out.push(op::MEMOIZE);
        // Fewer keys than bytes written, and those are capped.
        let index = self.keys.len() as u32;
        self.keys.insert(key, index);
        Ok(())
    }

    fn items(
        &mut self,
        empty: u8,
        fill: u8,
        items: &'v [PyValue],
        depth: usize,
    ) -> Result<(), FormatError> {
        self.out.push(empty);
        if items.is_empty() { Ok(()) } else { self.marked(fill, items, depth) }
    }

    fn marked(&mut self, code: u8, items: &'v [PyValue], depth: usize) -> Result<(), FormatError> {
        self.out.push(op::MARK);
        for item in items {
            self.value(item, depth + 1)?;
        }
        self.out.push(code);
        Ok(())
    }

    fn code(&mut self, code: u8, argument: &[u8]) {
        self.out.push(code);
        self.out.extend_from_slice(argument);
    }

    /// Writes bytes behind a length of one byte (the first opcode) or four (the second).
    fn counted(&mut self, [short, long]: [u8; 2], bytes: &[u8]) -> Result<(), FormatError> {
        check_size(bytes.len())?;
        match u8::try_from(bytes.len()) {
            Ok(len) => self.code(short, &[len]),
            // The cap above lies below `u32::MAX`.
            Err(_) => self.code(long, &(bytes.len() as u32).to_le_bytes()),
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

fn time_state(time: civil::Time) -> [u8; 6] {
    let micros = (time.subsec_nanosecond() / 1000).cast_unsigned().to_be_bytes();
    let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i8::cast_unsigned);
    [hour, minute, second, micros[1], micros[2], micros[3]]
}

fn date_state(date: jiff::civil::Date) -> Result<Vec<u8>, FormatError> {
    let year = u16::try_from(date.year()).ok().filter(|year| (1..=9999).contains(year));
    let year = year.ok_or_else(|| FormatError::unsupported("a year before 1"))?;
    let [high, low] = year.to_be_bytes();
    Ok(vec![high, low, date.month().cast_unsigned(), date.day().cast_unsigned()])
}

fn hashable(items: &[PyValue]) -> Result<(), FormatError> {
    if items.iter().all(PyValue::is_hashable) { Ok(()) } else { Err(unhashable()) }
}
