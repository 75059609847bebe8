//! What a declared task takes: for its callers, and for those who describe it.

pub use rhubarb_queue::inspect::ParameterKind;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// What a declared task is called, and what it takes.
///
/// As JSON it says of each parameter its name, its kind, its type in Rust, whether it is required,
/// and its default.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Schema {
    /// The task's name.
    pub name: &'static str,
    /// The queue that its calls go to, where the declaration names one.
    pub queue: Option<&'static str>,
    /// Whether its results are ignored.
    pub ignore_result: bool,
    /// Its parameters, in order.
    pub parameters: &'static [Parameter],
}

/// One parameter of a task.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name, by which callers may pass it.
    pub name: &'static str,
    /// How it may be passed.
    pub kind: ParameterKind,
    /// Its type, as it is written in Rust.
    pub type_name: &'static str,
    default: Option<Default>,
}

/// Makes a default, as it would stand in a message.
type Default = fn() -> Option<Value>;

impl Parameter {
    /// Tells whether a call without it fails.
    pub fn is_required(&self) -> bool {
        let is_open = matches!(self.kind, ParameterKind::Args | ParameterKind::Kwargs);
        self.default.is_none() && !is_open
    }

    /// Returns its default as it would stand in a message; none where it is required or cannot be
    /// JSON.
    pub fn default(&self) -> Option<Value> {
        self.default.and_then(|default| default())
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("kind", &self.kind)?;
        map.serialize_entry("type", self.type_name)?;
        map.serialize_entry("required", &self.is_required())?;
        if let Some(default) = self.default() {
            map.serialize_entry("default", &default)?;
        }
        map.end()
    }
}

/// Makes a schema; for what the macro writes.
pub const fn schema(
    name: &'static str,
    queue: Option<&'static str>,
    ignore_result: bool,
    parameters: &'static [Parameter],
) -> Schema {
    Schema { name, queue, ignore_result, parameters }
}

/// Makes a parameter; for what the macro writes.
pub const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    type_name: &'static str,
    default: Option<Default>,
) -> Parameter {
    Parameter { name, kind, type_name, default }
}
