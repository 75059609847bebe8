//! The allow-list: every class that a pickle may name.

use crate::error::FormatError;

/// A class or function that stands for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    ByteArray,
    Bytes,
    /// `_codecs.encode(text, "latin1")`: how protocols 0 to 2 hold bytes.
    Encode,
    Date,
    DateTime,
    Decimal,
    FrozenSet,
    /// `getattr(ZoneInfo, "_unpickle")`: how a time zone is pickled (CPython 3.9 to 3.14).
    GetAttr,
    Object,
    OrderedDict,
    /// `copyreg._reconstructor(class, object, None)`: how protocols 0 and 1 hold a UUID.
    Reconstructor,
    Set,
    Time,
    TimeDelta,
    TimeZone,
    Uuid,
    ZoneInfo,
    /// `ZoneInfo._unpickle(name, from_cache)`; has no name of its own in a pickle.
    ZoneInfoUnpickle,
}

/// The module and name that protocol 4 has for each.
const NAMES: [(Class, &str, &str); 17] = [
    (Class::Bytes, "builtins", "bytes"),
    (Class::ByteArray, "builtins", "bytearray"),
    (Class::FrozenSet, "builtins", "frozenset"),
    (Class::GetAttr, "builtins", "getattr"),
    (Class::Object, "builtins", "object"),
    (Class::Set, "builtins", "set"),
    (Class::Encode, "_codecs", "encode"),
    (Class::Reconstructor, "copyreg", "_reconstructor"),
    (Class::OrderedDict, "collections", "OrderedDict"),
    (Class::Date, "datetime", "date"),
    (Class::DateTime, "datetime", "datetime"),
    (Class::Time, "datetime", "time"),
    (Class::TimeDelta, "datetime", "timedelta"),
    (Class::TimeZone, "datetime", "timezone"),
    (Class::Decimal, "decimal", "Decimal"),
    (Class::Uuid, "uuid", "UUID"),
    (Class::ZoneInfo, "zoneinfo", "ZoneInfo"),
];

impl Class {
    /// Returns the class of this name; old protocols have Python 2's module names.
    pub(super) fn find(module: &str, name: &str) -> Result<Self, FormatError> {
        let known = match module {
            "__builtin__" => "builtins",
            "copy_reg" => "copyreg",
            module => module,
        };
        let found = NAMES.into_iter().find(|(_, its, of_it)| (*its, *of_it) == (known, name));
        let unsupported = || FormatError::Unsupported { class: shown(module, name) };
        found.map(|(class, ..)| class).ok_or_else(unsupported)
    }

    /// Returns the module and name that protocol 4 has for it.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        let found = NAMES.into_iter().find(|(class, ..)| *class == self);
        // The one that has no name of its own is a method of this class.
        found.map_or(("zoneinfo", "ZoneInfo"), |(_, module, name)| (module, name))
    }

    pub(super) fn unsupported(self) -> FormatError {
        let (module, name) = self.names();
        FormatError::Unsupported { class: shown(module, name) }
    }
}

/// The name for an error message; whoever wrote the pickle chose it, so it is cut and cleaned.
fn shown(module: &str, name: &str) -> String {
    let whole = format!("{module}.{name}");
    whole.chars().map(|c| if c.is_control() { '?' } else { c }).take(100).collect()
}
