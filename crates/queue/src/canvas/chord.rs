//! Chords: a header, and a body that is called with the header's results.

use serde_json::{Value, json};

use super::{
    CanvasError,
    options::{Options, overlay, take, take_text, text},
    part::{Chord, Part, PartKind, joined, value},
    results::Res,
    unroll::{Freeze, How, Unroll},
};

/// A chord that is about to be sent.
struct Ready {
    header: Part,
    header_args: Vec<Value>,
    header_kwargs: Options,
    /// For the header's tasks.
    options: Options,
    body: Part,
    body_id: Option<String>,
    group_id: String,
}

impl Unroll<'_> {
    /// Sends a chord's header; with nothing in the header, its body.
    pub(super) fn apply_chord(&mut self, part: Part, how: How) -> Result<Res, CanvasError> {
        let Ready {
            mut header,
            header_args,
            header_kwargs,
            mut options,
            mut body,
            body_id,
            group_id,
        } = self.ready_chord(part, how)?;
        let root_id = text(&body.options, "root_id");
        let body_id = body_id.unwrap_or_else(|| self.fresh_id());
        let freeze = Freeze {
            id: Some(&body_id),
            group_id: Some(&group_id),
            root_id: root_id.as_deref(),
            ..Freeze::default()
        };
        let result = self.freeze(&mut body, freeze)?;
        options.insert("task_id".to_owned(), json!(group_id));
        let chord = body.clone().into_value();
        let freeze = Freeze { id: None, chord: Some(&chord), sent_next: true, ..freeze };
        let mut header_result = self.freeze_group(&mut header, freeze)?;
        if matches!(&header.kind, PartKind::Group(members) if members.is_empty()) {
            self.apply(body, How { args: vec![json!([])], ..How::default() })?;
        } else {
            let nested = self.results.members(header_result).unwrap_or_default();
            if nested.iter().any(|member| self.results.members(*member).is_some()) {
                self.saved.push(header_result);
            }
            let how = How { args: header_args, kwargs: header_kwargs, options, ..How::default() };
            header_result = self.apply_group(header, how)?;
        }
        // Celery lets the body's result follow the header at once, whatever comes in between.
        self.results.set_parent(result, Some(header_result));
        Ok(result)
    }

    /// Sorts a chord's options: what belongs to the body, what to the header, what to both.
    fn ready_chord(&mut self, mut part: Part, how: How) -> Result<Ready, CanvasError> {
        let PartKind::Chord(chord) = part.kind else { return Err(CanvasError::NoBody) };
        let Chord { header, header_options, body } = *chord;
        let mut body = body.ok_or(CanvasError::NoBody)?;
        let header_args = if how.args.is_empty() || part.immutable {
            part.args
        } else {
            joined(how.args, part.args)
        };
        let mut header_kwargs = match take(&mut part.kwargs, "kwargs") {
            Some(Value::Object(kwargs)) => kwargs,
            _ => Options::new(),
        };
        header_kwargs.extend(how.kwargs);
        let mut given = how.options;
        if let Some(chain) = how.chain {
            let chain = chain.into_iter().map(value).collect();
            given.insert("chain".to_owned(), chain);
        }
        let body_id = take_text(&mut given, "task_id");
        let own_id = take_text(&mut part.options, "task_id");
        let group_id = header_options
            .as_ref()
            .and_then(|options| text(options, "task_id"))
            .or_else(|| own_id.clone())
            .unwrap_or_else(|| self.fresh_id());
        let mut options = part.options;
        overlay(&mut options, given);
        // A delay is the header's: the body comes when the header is done.
        let delay = ["countdown", "eta"].map(|key| (key, take(&mut options, key)));
        self.add_body_callbacks(&mut body, &mut options)?;
        let mut for_body = options.clone();
        // The task that ends the header is the body's parent.
        for_body.shift_remove("parent_id");
        overlay(&mut body.options, for_body);
        // The chord of a chord's own is its body's; what follows it follows the body.
        options.shift_remove("chord");
        options.shift_remove("chain");
        for (key, value) in delay {
            options.extend(value.map(|value| (key.to_owned(), value)));
        }
        let mut header_options = header_options.unwrap_or_default();
        header_options.insert("task_id".to_owned(), json!(group_id));
        let header = Part::group(header, header_options);
        let body_id = body_id.or(own_id);
        Ok(Ready { header, header_args, header_kwargs, options, body, body_id, group_id })
    }
}
