//! Whatever bytes are read: an error or a value, soon and in bounded memory, and nothing executed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use jiff::{civil, tz::Offset};
use proptest::prelude::*;
use rhubarb_pyvalue::pickle::{read, write};
use rhubarb_pyvalue::{
    Bound, DateTime, Decimal, FormatError, PyValue, TimeDelta, TimeOfDay, exact, json, msgpack,
};

fn hashable() -> impl Strategy<Value = PyValue> {
    prop_oneof![
        Just(PyValue::None),
        any::<bool>().prop_map(PyValue::Bool),
        any::<i64>().prop_map(PyValue::Int),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |f| !f.is_nan())
            .prop_map(PyValue::Float),
        any::<String>().prop_map(PyValue::Str),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(PyValue::Bytes),
        any::<u64>().prop_map(PyValue::from),
        any::<u128>().prop_map(|u| PyValue::Uuid(uuid::Uuid::from_u128(u))),
        (1_i16..=9999, 1_i8..=12, 1_i8..=28)
            .prop_map(|(y, m, d)| PyValue::Date(civil::date(y, m, d))),
        datetimes().prop_map(PyValue::DateTime),
        datetimes().prop_map(time_of_day),
        (-999_999_998_i64..999_999_998, any::<i32>(), any::<i32>())
            .prop_filter_map("in range", |(d, s, us)| TimeDelta::new(d, s.into(), us.into()))
            .prop_map(PyValue::TimeDelta),
        "-?[0-9]{1,20}(\\.[0-9]{1,9})?(E[+-][0-9]{1,3})?"
            .prop_filter_map("a decimal", |text| Decimal::new(&text))
            .prop_map(PyValue::Decimal),
    ]
}

fn time_of_day(at: DateTime) -> PyValue {
    let DateTime { civil, offset, fold, zone } = at;
    PyValue::Time(TimeOfDay { civil: civil.time(), fold, offset, zone })
}

fn datetimes() -> impl Strategy<Value = DateTime> {
    let date = (1_i16..=9999, 1_i8..=12, 1_i8..=28);
    let time = (0_i8..24, 0_i8..60, 0_i8..60, 0_i32..1_000_000);
    let offset = proptest::option::of(-86_399_i32..86_400);
    (date, time, offset, any::<bool>()).prop_map(|((y, m, d), (h, min, s, us), offset, fold)| {
        DateTime {
            civil: civil::datetime(y, m, d, h, min, s, us * 1000),
            offset: offset.map(|seconds| Offset::from_seconds(seconds).unwrap()),
            fold,
            zone: None,
        }
    })
}

fn values() -> impl Strategy<Value = PyValue> {
    let leaf = prop_oneof![
        8 => hashable(),
        1 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(PyValue::ByteArray),
        1 => proptest::collection::vec(hashable(), 0..5).prop_map(PyValue::Set),
        1 => proptest::collection::vec(hashable(), 0..5).prop_map(PyValue::FrozenSet),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let pairs = proptest::collection::vec((hashable(), inner.clone()), 0..8).boxed();
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(PyValue::List),
            proptest::collection::vec(inner, 0..8).prop_map(PyValue::Tuple),
            pairs.clone().prop_map(PyValue::Dict),
            pairs.prop_map(PyValue::OrderedDict),
        ]
    })
}

/// Tells whether no dict writes two of its keys alike, as `None` and `"null"`: of those a reader
/// has one, and Python's dicts have no key twice.
fn keys_differ(value: &PyValue) -> bool {
    let alone = |key: &PyValue| json::write(&PyValue::Dict(vec![(key.clone(), PyValue::None)]));
    match value {
        PyValue::Dict(pairs) | PyValue::OrderedDict(pairs) => {
            let mut texts = HashSet::new();
            let mut written = pairs.iter().filter_map(|(key, _)| alone(key).ok());
            written.all(|text| texts.insert(text))
                && pairs.iter().all(|(_, value)| keys_differ(value))
        }
        PyValue::List(items)
        | PyValue::Tuple(items)
        | PyValue::Set(items)
        | PyValue::FrozenSet(items) => items.iter().all(keys_differ),
        _ => true,
    }
}

proptest! {
    #[test]
    fn a_pickled_value_comes_back_as_it_went(value in values()) {
        let bytes = write(&value).unwrap();
        prop_assert_eq!(read(&bytes).unwrap(), value);
    }

    #[test]
    fn what_msgpack_and_json_take_comes_back(value in values()) {
        if let Ok(bytes) = json::write(&value) {
            let once = json::read(&bytes).unwrap();
            prop_assert_eq!(json::read(&json::write(&once).unwrap()).unwrap(), once);
        }
        if let Ok(bytes) = msgpack::write(&value) {
            let once = msgpack::read(&bytes).unwrap();
            prop_assert_eq!(msgpack::read(&msgpack::write(&once).unwrap()).unwrap(), once);
        }
    }

    /// What is read as our own values and as `serde_json`'s is the same, and so is what is written.
    #[test]
    fn the_two_kinds_of_values_agree(value in values()) {
        if !keys_differ(&value) {
            return Ok(());
        }
        if let Ok(bytes) = json::write(&value) {
            let exact = exact::read(&bytes).unwrap();
            prop_assert_eq!(exact::json(&exact).into_bytes(), bytes);
        }
        if let (Ok(json), Ok(packed)) = (value.to_json(), msgpack::write(&value))
            && exact::changed(&exact::read_msgpack(&packed).unwrap()).is_none()
        {
            prop_assert_eq!(exact::read_msgpack(&packed).unwrap(), json);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (read(&bytes), json::read(&bytes), msgpack::read(&bytes));
        let _ = (exact::read(&bytes), exact::read_msgpack(&bytes));
    }

    #[test]
    fn mutated_pickles_never_panic(
        value in values(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = write(&value).unwrap();
        let _ = read(&bytes[..cut.index(bytes.len())]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn arbitrary_json_text_never_panics(text in "[\\[\\]{}\",:0-9eE.+\\- \\\\nu\u{0}-\u{1f}a-fNIt]{0,60}") {
        let _ = (json::read(text.as_bytes()), exact::read(text.as_bytes()));
    }

    #[test]
    fn arbitrary_opcodes_never_panic(
        codes in proptest::collection::vec(
            proptest::sample::select(b"(.012NIJKMLFGVXCB]lae)td}su\x8f\x90\x91ghjpqr\x94c\x93iRb\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\n\x01".as_slice()),
            0..60,
        ),
    ) {
        let _ = read(&codes);
    }
}

#[test]
fn a_class_that_is_not_data_is_named_and_not_called() {
    let check = |bytes: &[u8], expected: &str| match read(bytes) {
        Err(FormatError::Unsupported { class }) => assert_eq!(class, expected),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    };
    check(b"cos\nsystem\n(S'true'\ntR.", "os.system");
    check(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "posix.system");
    check(b"ios\nsystem\n.", "os.system");
    check(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "builtins.eval");
    check(b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.", "builtins.getattr");
    check(b"cdjango.db.models.base\nmodel_unpickle\n.", "django.db.models.base.model_unpickle");
    check(b"c_codecs\ndecode\n.", "_codecs.decode");
    // A class by itself, or with arguments that it would not take, is no value either.
    check(b"cdatetime\ndatetime\n.", "datetime.datetime");
    check(b"cdatetime\ndate\n(C\x04\x07\xea\x0d\x01tR.", "datetime.date");
    check(b"cdecimal\nDecimal\n(Vx\ntR.", "decimal.Decimal");
    check(b"cuuid\nUUID\n)\x81.", "uuid.UUID");
}

#[test]
fn a_container_that_holds_itself_is_an_error() {
    for bytes in
        [&b"\x80\x04]\x94h\x00a."[..], b"\x80\x04}\x94K\x01h\x00s.", b"\x80\x04]\x94h\x00\x85a."]
    {
        assert!(
            matches!(read(bytes), Err(FormatError::Unsupported { .. })),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn shared_values_that_double_at_each_level_are_bounded() {
    // l = []; for _ in range(60): l = [l, l]
    let mut bytes = b"\x80\x04]\x94".to_vec();
    for level in 0..60_u8 {
        bytes.extend([b'0', b']', b'(', b'h', level, b'h', level, b'e', 0x94]);
    }
    bytes.push(b'.');
    let began = Instant::now();
    assert!(matches!(read(&bytes), Err(FormatError::TooLarge { of: Bound::Elements, .. })));
    assert!(began.elapsed() < Duration::from_secs(10));
    // One long text, a thousand times.
    let mut bytes = b"\x80\x04](X\x00\x00\x10\x00".to_vec();
    bytes.extend(vec![b'x'; 1 << 20]);
    bytes.push(0x94);
    bytes.extend(b"h\x00".repeat(1000));
    bytes.extend(b"e.");
    assert!(matches!(read(&bytes), Err(FormatError::TooLarge { of: Bound::Unpacked, .. })));
}

#[test]
fn a_claimed_length_allocates_nothing() {
    for bytes in [
        &b"X\xff\xff\xff\xff."[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x8b\xff\xff\xff\x7f.",
    ] {
        assert!(matches!(read(bytes), Err(FormatError::Malformed { .. })));
    }
    // An index far away in the memo is one entry, not four milliards.
    assert_eq!(read(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.").unwrap(), PyValue::None);
}

#[test]
fn nesting_is_bounded_in_both_directions() {
    let mut deep = vec![b']'; 100_000];
    deep.extend(vec![b'a'; 99_999]);
    deep.push(b'.');
    assert!(matches!(read(&deep), Err(FormatError::TooLarge { of: Bound::Levels, .. })));
    let value = (0..200).fold(PyValue::None, |inner, _| PyValue::List(vec![inner]));
    for written in [write(&value), msgpack::write(&value), json::write(&value)] {
        assert!(matches!(written, Err(FormatError::TooLarge { of: Bound::Levels, .. })));
    }
    let deep = vec![b'['; 100_000];
    assert!(matches!(json::read(&deep), Err(FormatError::TooLarge { of: Bound::Levels, .. })));
}

#[test]
fn more_values_than_the_cap_are_refused_while_reading() {
    let mut many = b"](".to_vec();
    many.extend(vec![b'N'; 1_100_000]);
    many.extend(b"e.");
    assert!(matches!(read(&many), Err(FormatError::TooLarge { of: Bound::Elements, .. })));
}

#[test]
fn what_python_could_not_load_is_not_written() {
    let list = PyValue::List(vec![]);
    for value in [
        PyValue::Set(vec![list.clone()]),
        PyValue::Dict(vec![(list, PyValue::None)]),
        PyValue::Date(civil::date(0, 1, 1)),
        PyValue::DateTime(DateTime {
            civil: civil::datetime(2026, 1, 1, 0, 0, 0, 0),
            offset: Some(Offset::from_seconds(86_400).unwrap()),
            fold: false,
            zone: None,
        }),
    ] {
        let error = write(&value).unwrap_err();
        assert!(matches!(error, FormatError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn a_datetime_in_a_zoneinfo_is_read_and_written_back_with_its_zone() {
    // datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=ZoneInfo("Europe/Berlin")) of CPython 3.11,
    // protocols 4 and 2.
    let four = b"\x80\x04\x95\x7f\0\0\0\0\0\0\0\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xea\x07\x01\x0c\0\0\0\0\x05\x94\x8c\x08builtins\x94\x8c\x07getattr\x94\x93\x94\x8c\x08zoneinfo\x94\x8c\x08ZoneInfo\x94\x93\x94\x8c\t_unpickle\x94\x86\x94R\x94\x8c\rEurope/Berlin\x94K\x01\x86\x94R\x94\x86\x94R\x94.";
    let two = b"\x80\x02cdatetime\ndatetime\nq\0c_codecs\nencode\nq\x01X\x0b\0\0\0\x07\xc3\xaa\x07\x01\x0c\0\0\0\0\x05q\x02X\x06\0\0\0latin1q\x03\x86q\x04Rq\x05c__builtin__\ngetattr\nq\x06czoneinfo\nZoneInfo\nq\x07X\t\0\0\0_unpickleq\x08\x86q\tRq\nX\r\0\0\0Europe/Berlinq\x0bK\x01\x86q\x0cRq\r\x86q\x0eRq\x0f.";
    for pickle in [four.as_slice(), two.as_slice()] {
        let value = read(pickle).unwrap();
        assert_eq!(value.to_json().unwrap(), "2026-07-01T12:00:00.000005+02:00");
        let PyValue::DateTime(at) = &value else { panic!("{value:?}") };
        assert_eq!(at.zone.as_ref().unwrap().name(), "Europe/Berlin");
        let again = write(&value).unwrap();
        assert_eq!(read(&again).unwrap(), value);
    }
}

#[test]
fn what_is_no_time_zone_of_the_database_is_named_and_so_is_odd_text() {
    let class = |pickle: &[u8]| match read(pickle) {
        Err(FormatError::Unsupported { class }) => class,
        other => panic!("{other:?}"),
    };
    let zone = b"cbuiltins\ngetattr\n(czoneinfo\nZoneInfo\n\x8c\t_unpickletR(\x8c\x04MarsK\x01tR.";
    assert_eq!(class(zone), "zoneinfo.ZoneInfo");
    assert_eq!(
        class(b"cbuiltins\ngetattr\n(czoneinfo\nZoneInfo\n\x8c\x01xtR."),
        "builtins.getattr"
    );
    assert_eq!(class(b"\x80\x04\x8c\x03\xed\xa0\x80."), "str with a lone surrogate");
    assert_eq!(class(b"V\\ud800\n."), "str with a lone surrogate");
}

#[test]
fn the_numbers_of_a_json_text_and_their_digits_are_bounded() {
    let too_large = |text: &str, of| match json::read(text.as_bytes()) {
        Err(FormatError::TooLarge { of: found, .. }) => assert_eq!(found, of),
        other => panic!("{other:?}"),
    };
    too_large(&"9".repeat(4301), Bound::Digits);
    too_large(&format!("[{}0]", "0,".repeat(1_000_000)), Bound::Elements);
}
