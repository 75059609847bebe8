//! What the macro writes, without Redis.

use std::collections::BTreeMap;

use rhubarb_connection::Connections;
use rhubarb_queue::{
    Client, Publish, Published,
    wire::{Exception, State, TaskResult, open},
};
use serde_json::json;

use super::{
    binding::Binding,
    handle::{GetError, Handle, read},
};
use crate::{
    args::Arguments,
    json::{self, Odd},
    prelude::*,
    typed::chosen::OfError as _,
};

/// A sum of two.
#[task(name = "t.add", queue = "shop", max_retries = 5, time_limit = 60, ignore_result)]
async fn add(x: i64, #[default(1)] y: i64) -> Result<i64, TaskError> {
    Ok(x + y)
}

#[task(name = "t.all")]
fn all(
    context: TaskContext,
    r#type: String,
    #[default("tea")] queue: String,
    #[args] rest: Vec<i64>,
    note: Option<String>,
    #[default] only: bool,
    #[kwargs] more: BTreeMap<String, i64>,
) -> String {
    format!("{} {type} {queue} {rest:?} {note:?} {only} {more:?}", context.id())
}

fn parts(publish: &Publish) -> (Value, Value) {
    (json!(publish.args), json!(publish.kwargs))
}

#[tokio::test]
async fn the_function_stays_a_function() {
    assert_eq!(add(2, 3).await.unwrap(), 5);
    assert_eq!((add::NAME, all::NAME), ("t.add", "t.all"));
}

#[test]
fn the_options_are_set_at_the_registration() {
    let mut app = App::new(Config::default()).unwrap();
    app.add(add::task()).track_started(true);
    app.add(all::task());
    app.check().unwrap();
    let task = &app.tasks["t.add"];
    assert_eq!((task.retry.max_retries, task.results.ignore_result), (5, Some(true)));
    assert_eq!(task.track_started, Some(true));
    assert!(format!("{task:?}").contains("60s"), "{task:?}");
    app.add(add::task());
    assert!(app.check().unwrap_err().to_string().contains("`t.add` is registered twice"));
}

#[test]
fn the_schema_tells_names_kinds_and_defaults() {
    let parameter = |name, kind, ty, required, default: Option<Value>| {
        let mut told = json!({"name": name, "kind": kind, "type": ty, "required": required});
        if let Some(default) = default {
            told["default"] = default;
        }
        told
    };
    let both = "position_or_keyword";
    let expected = json!({"name": "t.add", "queue": "shop", "ignore_result": true, "parameters": [
        parameter("x", both, "i64", true, None),
        parameter("y", both, "i64", false, Some(json!(1))),
    ]});
    assert_eq!(json!(add::schema()), expected);
    assert_eq!(add::task().schema().name, "t.add");
    let expected = json!([
        parameter("type", both, "String", true, None),
        parameter("queue", both, "String", false, Some(json!("tea"))),
        parameter("rest", "args", "Vec<i64>", false, None),
        parameter("note", "keyword", "Option<String>", false, Some(Value::Null)),
        parameter("only", "keyword", "bool", false, Some(json!(false))),
        parameter("more", "kwargs", "BTreeMap<String,i64>", false, None),
    ]);
    assert_eq!(json!(all::schema())["parameters"], expected);
}

#[test]
fn required_arguments_go_by_position_and_the_others_by_name() {
    let sent = add::call(2).publish().unwrap();
    assert_eq!((sent.task.as_str(), sent.options.queue.as_deref()), ("t.add", Some("shop")));
    assert_eq!(parts(&sent), (json!([2]), json!({})));
    let sent = add::call(2).y(3).queue("other").countdown(Duration::from_secs(5)).priority(0);
    let sent = sent.publish().unwrap();
    assert_eq!(parts(&sent), (json!([2]), json!({"y": 3})));
    let options = (sent.options.queue.as_deref(), sent.options.countdown, sent.options.priority);
    assert_eq!(options, (Some("other"), Some(Duration::from_secs(5)), Some(0)));

    let sent = all::call("sort").queue_("jam").note("n").only(true).more([("a".into(), 1)].into());
    let kwargs = json!({"queue": "jam", "note": "n", "only": true, "a": 1});
    assert_eq!(parts(&sent.publish().unwrap()), (json!(["sort"]), kwargs));
    // Behind what may be left out stands something by position: so does all before it.
    let sent = all::call("sort").rest(vec![1, 2]).note("n").publish().unwrap();
    assert_eq!(parts(&sent), (json!(["sort", "tea", 1, 2]), json!({"note": "n"})));
}

#[test]
fn a_step_of_a_chain_leaves_the_first_argument_open() {
    let step = add::partial().y(3).signature().unwrap();
    assert_eq!((json!(step.args), json!(step.kwargs)), (json!([]), json!({"y": 3})));
    let error = add::partial().y(3).publish().unwrap_err().to_string();
    assert_eq!(error, "the call of task `t.add` cannot be sent: misses argument 'x'");
}

#[test]
fn a_call_that_cannot_be_says_why() {
    let twice = all::call("sort").more([("note".to_owned(), 1)].into()).publish().unwrap_err();
    assert!(twice.to_string().ends_with("argument 'note' has a parameter of its own"), "{twice}");

    #[task(name = "t.pairs")]
    async fn pairs(_pairs: BTreeMap<(u8, u8), u8>) {}
    let error = pairs::call(BTreeMap::from([((1, 2), 3)])).publish().unwrap_err().to_string();
    let text = "the call of task `t.pairs` cannot be sent: argument '_pairs' is not JSON: key must be a string";
    assert_eq!(error, text);
}

#[test]
fn a_number_that_json_has_no_words_for_is_told_by_its_call() {
    #[task(name = "t.mean")]
    async fn mean(_numbers: Vec<f64>) {}
    let error = mean::call(vec![1.0, f64::NAN]).publish().unwrap_err().to_string();
    let text =
        "the call of task `t.mean` cannot be sent: argument '_numbers' is not JSON: NaN is no JSON";
    assert_eq!(error, text);
}

#[test]
fn a_result_that_json_has_no_words_for_is_read_as_what_it_was() {
    let stored = open(json::write(&(f64::NAN, 1.5), Odd::Kept).unwrap());
    let result = TaskResult::new("i", State::Success, stored);
    let (mean, least) = read::<(f64, f64)>("t.mean", "i".to_owned(), result).unwrap();
    assert!(mean.is_nan() && least == 1.5);
}

/// Both a `std::error::Error` and `Serialize`: either could fail a task.
#[derive(Debug, thiserror::Error, serde::Serialize)]
#[error("the shop is closed")]
struct Closed(#[source] Lock);

#[derive(Debug, thiserror::Error, serde::Serialize)]
#[error("the key is lost")]
struct Lock;

type Sold = Result<i64, Closed>;

#[task(name = "t.sell")]
async fn sell() -> Sold {
    Err(Closed(Lock))
}

#[task(name = "t.sell_slowly")]
fn sell_slowly() -> Result<i64, Closed> {
    Err(Closed(Lock))
}

#[task(name = "t.text")]
async fn text() -> Result<i64, String> {
    Err("boom".to_owned())
}

#[test]
fn an_error_that_is_serialize_too_is_taken_as_an_error() {
    let mut app = App::new(Config::default()).unwrap();
    app.add(sell::task());
    app.add(sell_slowly::task());
    app.add(text::task());
    app.check().unwrap();
    let kind = crate::__private::Returned::<Sold>::new().kind();
    let chosen = crate::__private::Chosen::new(Sold::Err(Closed(Lock)), kind);
    let Err(TaskError::Failed(raised)) = crate::output::IntoTaskResult::into_task_result(chosen)
    else {
        panic!("no failure")
    };
    assert_eq!(raised.exception.exc_type, "Closed");
    assert_eq!(raised.exception.exc_message, ["the shop is closed: the key is lost"]);
}

/// Names and types that set off lints where they are written by hand.
#[warn(clippy::all, clippy::pedantic)]
mod quiet {
    use super::*;

    #[task(name = "t.quiet")]
    #[expect(clippy::too_many_arguments, reason = "it is the function's own")]
    #[expect(clippy::fn_params_excessive_bools, reason = "it is the function's own")]
    #[expect(clippy::unused_async, reason = "it is the function's own")]
    async fn quiet(
        is_new: bool,
        into_box: bool,
        to_shop: bool,
        not: bool,
        from_shop: String,
        add: Vec<(String, Vec<i64>)>,
        #[default(7)] as_u8: u8,
        #[default] new: Option<String>,
    ) -> usize {
        drop((from_shop, new, as_u8));
        [is_new, into_box, to_shop, not].len() + add.len()
    }

    #[test]
    fn a_task_of_whatever_names_can_be_called() {
        let call = quiet::call(true, true, true, true, "x", vec![]).as_u8(1);
        assert_eq!(parts(&call.publish().unwrap()).1, json!({"as_u8": 1}));
    }
}

fn bind(args: Value, kwargs: Value) -> Result<Binding, String> {
    let (Value::Array(args), Value::Object(kwargs)) = (args, kwargs) else { panic!("no call") };
    Binding::new(all::schema(), Arguments { args, kwargs }).map_err(|error| error.to_string())
}

#[test]
fn arguments_are_bound_as_python_does() {
    let mut bound =
        bind(json!(["sort", "jam", 1, 2]), json!({"only": true, "a": 3, "note": null})).unwrap();
    assert_eq!(bound.required::<String>(0).unwrap(), "sort");
    assert_eq!(bound.optional(1, || "tea".to_owned()).unwrap(), "jam");
    assert_eq!(bound.args::<Vec<i64>>(2).unwrap(), [1, 2]);
    assert_eq!(bound.optional::<Option<String>>(3, || None).unwrap(), None);
    assert!(bound.optional(4, || false).unwrap());
    assert_eq!(bound.kwargs::<BTreeMap<String, i64>>(5).unwrap(), [("a".to_owned(), 3)].into());

    let mut bound = bind(json!([]), json!({"type": "sort", "a": "x"})).unwrap();
    assert_eq!(bound.optional(1, || "tea".to_owned()).unwrap(), "tea");
    let error = bound.kwargs::<BTreeMap<String, i64>>(5).unwrap_err().to_string();
    assert_eq!(error, "argument 'more.a': invalid type: string \"x\", expected i64");
    let mut bound = bind(json!(["sort", "jam", "x"]), json!({})).unwrap();
    let error = bound.args::<Vec<i64>>(2).unwrap_err().to_string();
    assert_eq!(error, "argument 'rest[0]': invalid type: string \"x\", expected i64");
}

#[test]
fn arguments_that_fit_no_parameter_are_told_as_python_does() {
    let refused = |args, kwargs| bind(args, kwargs).unwrap_err();
    assert_eq!(refused(json!([]), json!({})), "missing required argument 'type'");
    let twice = refused(json!(["sort"]), json!({"type": "x"}));
    assert_eq!(twice, "got multiple values for argument 'type'");
    let (args, kwargs) = (vec![json!(1); 3], json!({"z": 1}).as_object().unwrap().clone());
    let check = |arguments| Binding::new(add::schema(), arguments).unwrap_err().to_string();
    let many = check(Arguments { args, ..Arguments::default() });
    assert_eq!(many, "takes at most 2 positional arguments but 3 were given");
    let odd = check(Arguments { args: vec![json!(1)], kwargs });
    assert_eq!(odd, "got an unexpected keyword argument 'z'");
}

#[test]
fn a_result_that_cannot_be_had_is_told_in_one_sentence() {
    let ended =
        |status, result| read::<i64>("t.add", "i".to_owned(), TaskResult::new("i", status, result));
    assert_eq!(ended(State::Success, json!(3)).unwrap(), 3);
    let text = |ended: Result<i64, GetError>| ended.unwrap_err().to_string();
    let unfit = "task `t.add` (i) left a result that is not of the type that it declares: \
                 invalid type: string \"x\", expected i64";
    assert_eq!(text(ended(State::Success, json!("x"))), unfit);
    let exception = |name| Exception::builtin(name, vec!["boom".into()]).to_value();
    let failed = ended(State::Failure, exception("ValueError"));
    assert_eq!(text(failed), "task `t.add` (i) failed: ValueError('boom')");
    let revoked = text(ended(State::Revoked, Exception::task_revoked("expired").to_value()));
    assert_eq!(revoked, "task `t.add` (i) was revoked: TaskRevokedError('expired')");
}

#[tokio::test]
async fn the_result_of_a_task_that_stores_none_is_not_waited_for() {
    let config = Config::default();
    let client = Client::new(&Connections::new(&config.redis, "test").unwrap(), &config);
    let published = Published { id: "i".to_owned(), duplicate: false };
    let handle = Handle::<i64>::new(client, add::NAME, published, true);
    let error = handle.get(Duration::from_secs(60)).await.unwrap_err().to_string();
    assert_eq!(error, "task `t.add` (i) stores no result: it, or its call, says `ignore_result`");
}
