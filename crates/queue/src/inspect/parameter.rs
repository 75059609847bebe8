//! What a declared task takes, as a worker's record tells it.

use serde::{Deserialize, Serialize};

/// How a parameter may be passed: Python's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// By position or by name.
    PositionOrKeyword,
    /// By name only: it stands behind `*args`.
    Keyword,
    /// All further positional arguments: `*args`.
    Args,
    /// All further keyword arguments: `**kwargs`.
    Kwargs,
}

/// One parameter of a task, as a worker's record tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// How it may be passed.
    pub kind: ParameterKind,
    /// Its type, as it is written in Rust.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether a call without it fails.
    pub required: bool,
}
