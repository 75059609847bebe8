//! Whether a call's arguments fit what a task takes, as far as that is known without its code.

use rhubarb_wire::Body;
use serde_json::Value;

use crate::inspect::{Parameter, ParameterKind as Kind};

/// Says in one sentence why a call does not fit; `None` where it fits, or nobody can tell.
pub(super) fn misfit(parameters: &[Parameter], body: &Body) -> Option<String> {
    let of = |kind| parameters.iter().filter(move |parameter| parameter.kind == kind);
    let by_place: Vec<&Parameter> = of(Kind::PositionOrKeyword).collect();
    if body.args.len() > by_place.len() && of(Kind::Args).next().is_none() {
        let (takes, given) = (by_place.len(), body.args.len());
        return Some(format!("it takes at most {takes} positional arguments, {given} are given"));
    }
    for parameter in parameters {
        let place = by_place.iter().position(|one| one.name == parameter.name);
        let positional = place.and_then(|place| body.args.get(place));
        let named = body.kwargs.get(&parameter.name);
        let is_open = matches!(parameter.kind, Kind::Args | Kind::Kwargs);
        let name = &parameter.name;
        match (positional, named) {
            _ if is_open => {}
            (Some(_), Some(_)) => return Some(format!("argument `{name}` is given twice")),
            (None, None) if parameter.required => {
                return Some(format!("argument `{name}` is missing"));
            }
            (one, other) => {
                let value = one.or(other);
                let wrong = value.and_then(|value| wrong_type(&parameter.type_name, value));
                if let Some(wrong) = wrong {
                    return Some(format!("argument `{name}` is {wrong}"));
                }
            }
        }
    }
    unexpected(parameters, body)
}

fn unexpected(parameters: &[Parameter], body: &Body) -> Option<String> {
    if parameters.iter().any(|parameter| parameter.kind == Kind::Kwargs) {
        return None;
    }
    let is_named = |name: &str| {
        let named = |one: &Parameter| one.kind != Kind::Args && one.name == name;
        parameters.iter().any(named)
    };
    let name = body.kwargs.keys().find(|name| !is_named(name))?;
    let name: String = name.chars().take(100).collect();
    Some(format!("argument `{name}` is none that it takes"))
}

/// Says what a value is where its type certainly refuses it. Types of an application's own are
/// nobody's to judge.
fn wrong_type(type_name: &str, value: &Value) -> Option<String> {
    let written: String = type_name.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(inner) = written.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        return if value.is_null() { None } else { wrong_type(inner, value) };
    }
    let fits = match written.as_str() {
        "String" | "&str" => value.is_string(),
        "bool" => value.is_boolean(),
        "f32" | "f64" => value.is_number(),
        "u8" | "u16" | "u32" | "u64" | "usize" => value.is_u64(),
        "i8" | "i16" | "i32" | "i64" | "isize" => value.is_i64() || value.is_u64(),
        list if list.starts_with("Vec<") => value.is_array(),
        _ => return None,
    };
    // What Python writes and JSON cannot hold, such as NaN or a very large number, is sealed.
    let is_sealed = value.is_object() && rhubarb_wire::open(value.clone()) != *value;
    (!fits && !is_sealed).then(|| format!("{}, and the task takes {written}", kind(value)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "None",
        Value::Bool(_) => "a bool",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a dict",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameter(name: &str, kind: Kind, type_name: &str, required: bool) -> Parameter {
        Parameter { name: name.to_owned(), kind, type_name: type_name.to_owned(), required }
    }

    fn check(parameters: &[Parameter], args: &Value, kwargs: &Value) -> Option<String> {
        let body = Body {
            args: args.as_array().unwrap().clone(),
            kwargs: kwargs.as_object().unwrap().clone(),
            ..Body::default()
        };
        misfit(parameters, &body)
    }

    #[test]
    fn what_certainly_does_not_fit_is_told_by_its_argument() {
        let both = Kind::PositionOrKeyword;
        let add = [parameter("x", both, "i64", true), parameter("y", both, "Option<u8>", false)];
        let told = |args, kwargs| check(&add, &args, &kwargs);
        for (args, kwargs) in [
            (json!([1, 2]), json!({})),
            (json!([-1]), json!({"y": null})),
            (json!([]), json!({"y": 3, "x": 1})),
        ] {
            assert_eq!(told(args.clone(), kwargs), None, "{args}");
        }
        for (args, kwargs, sentence) in [
            (json!([]), json!({}), "argument `x` is missing"),
            (json!([1]), json!({"x": 1}), "argument `x` is given twice"),
            (json!([1, 2, 3]), json!({}), "it takes at most 2 positional arguments, 3 are given"),
            (json!([1]), json!({"z": 1}), "argument `z` is none that it takes"),
            (json!(["1"]), json!({}), "argument `x` is a text, and the task takes i64"),
            (json!([1.5]), json!({}), "argument `x` is a float, and the task takes i64"),
            (json!([1, -1]), json!({}), "argument `y` is an integer, and the task takes u8"),
            (json!([null]), json!({}), "argument `x` is None, and the task takes i64"),
        ] {
            assert_eq!(told(args, kwargs).as_deref(), Some(sentence));
        }
    }

    #[test]
    fn what_nobody_can_tell_fits() {
        let open = [
            parameter("first", Kind::PositionOrKeyword, "my::Own", true),
            parameter("rest", Kind::Args, "Vec<Value>", false),
            parameter("named", Kind::Kwargs, "Map<String, Value>", false),
        ];
        assert_eq!(check(&open, &json!([{"a": 1}, 2, 3]), &json!({"anything": 1})), None);
        assert_eq!(check(&[], &json!([]), &json!({})), None);
    }
}
