use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn lax(text: &str) -> Result<Value, Broken> {
    Lax::new(text, &Budget::unlimited()).document()
}

proptest! {
    #[test]
    fn json_is_read_as_serde_json_reads_it(text in "[\\[\\]{}:,\"a0-9.eE\\\\u -]{0,40}") {
        let ours = strict(&text, &Budget::unlimited()).ok();
        prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
    }

    #[test]
    fn the_tolerant_reader_reads_json_as_it_is(
        keys in proptest::collection::vec(".{0,6}", 0..6),
        texts in proptest::collection::vec(any::<String>(), 0..6),
        numbers in proptest::collection::vec(any::<f64>(), 0..4),
    ) {
        let members: Map<String, Value> =
            keys.into_iter().zip(texts.iter().cloned()).map(|(k, t)| (k, t.into())).collect();
        let value = json!({"members": members, "texts": texts, "numbers": numbers, "e": [{}, []]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let budget = Budget::unlimited();
            let mut reader = Lax::new(&text, &budget);
            prop_assert_eq!(reader.document().unwrap(), serde_json::from_str::<Value>(&text).unwrap());
            prop_assert_eq!(reader.repairs, 0);
        }
    }

    #[test]
    fn anything_is_read_or_refused(text in "(?s)[\\[\\]{}:,\"\\\\/*<!>\\-untrefalsN0-9.eE \n]{0,60}") {
        let _ = read(&text, &Budget::unlimited());
        let _ = lax(&text);
    }
}

#[test]
fn json_of_each_kind_is_read_as_serde_json_reads_it() {
    for text in [
        r#"{"a": [1, -2, 3.5, 1e400, 18446744073709551615, null, true, "é\u00e9\n"], "a": {}, "b": []}"#,
        "1e-400",
        "99999999999999999999999",
    ] {
        let ours = strict(text, &Budget::unlimited()).ok();
        assert_eq!(ours, serde_json::from_str::<Value>(text).ok(), "{text}");
    }
}

#[test]
fn common_slips_are_repaired_and_counted() {
    let check = |text: &str, expect: Value| {
        let got = read(text, &Budget::unlimited()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(got.value, expect, "{text}");
        assert!(got.repairs > 0, "{text}");
    };
    let a = || json!({"a": "x"});
    check(r#"{"a":"x",}"#, a());
    check(r#"{"a":"x",,}"#, a());
    check(r#"{,"a":"x"}"#, a());
    check(r#"{"a":["x",],}"#, json!({"a": ["x"]}));
    check("{\"a\":\"x\"\n\"b\":1}", json!({"a": "x", "b": 1}));
    check("// one\n{\"a\": /* two */ \"x\" // three\n}", a());
    check(r#"<!-- {"a":"x"} -->"#, a());
    check(r#"<!-- said --> {"a":"x"}"#, a());
    check("//<![CDATA[\n{\"a\":\"x\"}\n//]]>", a());
    check(r#"// <![CDATA[ {"a":"x"} // ]]>"#, a());
    check(r#"/*<![CDATA[*/{"a":"x"}/*]]>*/"#, a());
    check("\u{feff}{\"a\":\"x\"};", a());
    check(r#"{"a":"x"}}"#, a());
    check(r#"{"a":"x"} </script"#, a());
    check(r#"{"a":"x"} {"b": broken"#, a());
    check(r#"{"a":"x""#, a());
    check(r#"{"a":["x"]"#, json!({"a": ["x"]}));
    check(r#"{"a":"x"}{"a":"y"}"#, json!([{"a": "x"}, {"a": "y"}]));
    check("{\"a\":\"x\"},\n{\"a\":\"y\"},", json!([{"a": "x"}, {"a": "y"}]));
    check(")]}',\n{\"a\":\"x\"}", a());
    check("for(;;);{\"a\":\"x\"}", a());
    check(
        r#"{"a":NaN,"b":-Infinity,"c":undefined,"d":1e999}"#,
        json!({"a": null, "b": null, "c": null, "d": null}),
    );
    check(r#"{"a":,"b":+5,"c":.5,"d":007}"#, json!({"a": null, "b": 5.0, "c": 0.5, "d": 7.0}));
}

#[test]
fn strings_are_repaired() {
    let check = |text: &str, expect: &str| {
        let got = read(&format!("[\"{text}\"]"), &Budget::unlimited());
        assert_eq!(got.unwrap_or_else(|e| panic!("{text}: {e}")).value, json!([expect]), "{text}");
    };
    check("a\n\tb\u{1}", "a\n\tb\u{1}");
    check("\\ud83d", "\u{fffd}");
    check("\\ude00 \\ud83d\\ud83d\\ude00", "\u{fffd} \u{fffd}😀");
    check("\\ud83dx\\u12", "\u{fffd}x\u{fffd}12");
    check("c\\_d\\'e", "c_d'e");
    check("a\\\nb", "ab");
    check("the \"best\" cook", "the \"best\" cook");
}

#[test]
fn what_is_cut_off_or_no_json_is_none() {
    let cut =
        |text: &str| assert_eq!(read(text, &Budget::unlimited()), Err(Broken::CutOff), "{text}");
    cut(r#"{"jobs":[{"id":1"#);
    cut(r#"{"jobs":[{"id":1}"#);
    cut(r#"{"jobs":[{"id":1},"#);
    cut(r#"[{"id":"1"}"#);
    cut(r#"{"a":1"#);
    cut(r#"{"a":"#);
    cut(r#"{"a":"x"#);
    cut(r#"{"a""#);
    cut(r#"{"a" 1}"#);
    cut("{");
    let invalid = |text: &str| {
        let got = read(text, &Budget::unlimited());
        assert!(matches!(got, Err(Broken::Invalid(_))), "{text}: {got:?}");
    };
    invalid("Not found");
    invalid("{]");
    invalid("{a}");
    invalid("{a:b}");
    invalid("Not found [404]");
    invalid("Sorry, we are closed {for now}");
    invalid("if (x) { y() }");
    invalid("(function(){ return 1 })()");
    invalid("{a: new Date}");
    invalid(&format!("[{}", "new ".repeat(100_000)));
    invalid(&format!("[{}", "f(".repeat(100_000)));
    invalid("[}");
    invalid("<p>");
    invalid(&"[".repeat(100_000));
    invalid(&"{\"a\":".repeat(100_000));
}

#[test]
fn a_block_that_was_escaped_as_a_whole_is_read() {
    let read = |text: &str| read_block(text, &Budget::unlimited()).unwrap();
    assert_eq!(
        read("{&quot;a&quot;:&quot;R&amp;amp;D \\&quot;x\\&quot;&quot;}").value,
        json!({"a": "R&amp;D \"x\""})
    );
    let whole = read(r#"{"a":"&quot;x&quot;"}"#);
    assert_eq!((whole.value, whole.repairs), (json!({"a": "&quot;x&quot;"}), 0));
}

#[test]
fn what_scripts_write_is_read_and_counted() {
    let check = |text: &str, expect: Value, repairs: usize| {
        let got = read(text, &Budget::unlimited()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((got.value, got.repairs), (expect, repairs), "{text}");
    };
    let a = || json!({"a": "x"});
    check("{'a':'x'}", a(), 2);
    check("{a:'x'}", a(), 2);
    check("{a: `x`}", a(), 2);
    check("{$a_1-b: \"x\", 2: 3, naïve: 4}", json!({"$a_1-b": "x", "2": 3, "naïve": 4}), 3);
    check(
        "['the chef\\'s', 'the chef's table', 'say \"hi\"', \"it's\"]",
        json!(["the chef's", "the chef's table", "say \"hi\"", "it's"]),
        5,
    );
    check("{'a' : 'x',\n 'b' : ['y', 'z'] }", json!({"a": "x", "b": ["y", "z"]}), 5);
    check("var a = {\"a\":\"x\"};", a(), 1);
    check("let a={\"a\":\"x\"}", a(), 1);
    check("window.__INITIAL_STATE__ = {\"a\":\"x\"}; (function(){})();", a(), 1);
    check("window[\"__x\"]={\"a\":\"x\"};", a(), 1);
    check("window[\"a\"].b={\"a\":\"x\"};", a(), 1);
    check("window['a']['b'] = {\"a\":\"x\"};", a(), 1);
    check("self.__data = self.__data || {\"a\":\"x\"}", a(), 1);
    check("export default {\"a\":\"x\"}", a(), 1);
    check("module.exports = [{\"a\":\"x\"}]", json!([a()]), 1);
    check("callback({\"a\":\"x\"});", a(), 1);
    check("jQuery123_456({\"a\":\"x\"})", a(), 1);
    check("/**/ angular.callbacks._0({\"a\":\"x\"});", a(), 2);
    check("typeof cb === 'function' && cb({\"a\":\"x\"});", a(), 1);
    check("\"use strict\"; var a = {\"a\":\"x\"}", a(), 1);
    check("({\"a\":\"x\"})", a(), 1);
    check(r#"window.a = JSON.parse("{\"a\":\"x\"}");"#, a(), 1);
    check(r#"window.a = JSON.parse('{"a":"x",}');"#, a(), 3);
    check(
        "{a:undefined,b:void 0,c:!0,d:!1,e:0x1F,f:10n,g:1_000}",
        json!({"a": null, "b": null, "c": true, "d": false, "e": 31, "f": 10.0, "g": 1000.0}),
        14,
    );
    check(
        r#"{"a":new Date("2026-11-02"),"b":Date(5),"c":new Set([1]),"d":f()}"#,
        json!({"a": "2026-11-02", "b": 5, "c": [1], "d": null}),
        4,
    );
    check(r#"{"a":new Date({"b":"x);"})}"#, json!({"a": {"b": "x);"}}), 1);
}

#[test]
fn reading_a_script_takes_time_of_its_length() {
    let budget = || Budget::of_page(4 << 20, Default::default());
    for piece in
        ["'", "' ", "'\n", "{'", "a(", "a[\"b\"]", "a=", "a||", "`", "(", ";", "/*", "'a' "]
    {
        let text = piece.repeat((2 << 20) / piece.len());
        let _ = read(&text, &budget());
        let _ = first(&format!("[{text}"), &budget());
    }
}
