//! What the buttons of the pages do. What cannot be undone asks first, by a page of its own.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use rhubarb_queue::{
    letter::{self, Letter, LetterFilter, LetterKind},
    pauses, replay,
    schedules::Schedules,
};

use super::{Frame, html, text};
use crate::{access::Operator, audit, caching, editing, problem::Problem, site::Site};

/// So many letters may be ticked at once.
const TICKED: usize = 500;
/// So many letters of a group are taken at once, the newest.
const GROUP: usize = 20_000;

/// What a form asks for.
#[derive(Clone, Debug, Default)]
struct Ask {
    what: String,
    /// The queue's, schedule's or task's name or id.
    name: String,
    note: String,
    kind: String,
    task: String,
    reason: String,
    /// Of a live schedule, JSON.
    entry: String,
    /// Of a value in a cache.
    argument: String,
    /// Where sessions are.
    alias: String,
    /// Letters that are ticked.
    ids: Vec<String>,
    back: String,
    sure: bool,
}

impl Ask {
    fn read(body: &[u8]) -> Self {
        let mut ask = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "what" => ask.what = value,
                "name" => ask.name = value,
                "note" => ask.note = value,
                "kind" => ask.kind = value,
                "task" => ask.task = value,
                "reason" => ask.reason = value,
                "entry" => ask.entry = value,
                "argument" => ask.argument = value,
                "alias" => ask.alias = value,
                "id" if ask.ids.len() < TICKED => ask.ids.push(value),
                "back" => ask.back = value,
                "sure" => ask.sure = true,
                _ => {}
            }
        }
        ask
    }

    fn letters(&self) -> LetterKind {
        if self.kind == "parked" { LetterKind::Parked } else { LetterKind::Dead }
    }

    /// Tells whether a letter is of the group that is meant.
    fn groups(&self, letter: &Letter) -> bool {
        letter.task.as_deref().unwrap_or_default() == self.task
            && letter.reason.starts_with(&self.reason)
    }

    /// Returns which letters may be of the group.
    fn filter(&self) -> LetterFilter {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        LetterFilter {
            task: given(&self.task),
            reason: given(&self.reason),
            ..LetterFilter::default()
        }
    }

    /// Returns the form's fields once more, for the page that asks.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("what", &self.what),
            ("name", &self.name),
            ("note", &self.note),
            ("kind", &self.kind),
            ("task", &self.task),
            ("reason", &self.reason),
            ("argument", &self.argument),
            ("alias", &self.alias),
            ("back", &self.back),
        ];
        let given = all.into_iter().filter(|(_, value)| !value.is_empty());
        let given = given.map(|(name, value)| (name, value.clone()));
        given.chain(self.ids.iter().map(|id| ("id", id.clone()))).collect()
    }

    /// Returns where to go afterwards: a page of ours.
    fn back(&self) -> &str {
        super::login::own(&self.back)
    }
}

#[derive(Template)]
#[template(path = "sure.html")]
struct SurePage {
    frame: Frame,
    question: String,
    fields: Vec<(&'static str, String)>,
    back: String,
}

/// Does what a form asks for.
///
/// # Errors
///
/// It makes no sense, or Redis is away.
pub async fn act(
    Operator(visitor): Operator,
    State(site): State<Site>,
    body: Bytes,
) -> Result<Response, Problem> {
    let ask = Ask::read(&body);
    if let Some(question) = question(&site, &ask).await?.filter(|_| !ask.sure) {
        let frame = Frame::new(&site, &visitor, "", "Are you sure?");
        let (fields, back) = (ask.fields(), ask.back().to_owned());
        return Ok(html(&SurePage { frame, question, fields, back })?.into_response());
    }
    perform(&site, &ask).await?;
    audit::note(
        &site,
        &visitor,
        "pressed a button",
        &format!("{} {} {}", ask.what, ask.name, ask.task),
    )
    .await;
    Ok(Redirect::to(ask.back()).into_response())
}

/// Returns what is asked before something is done that cannot be undone.
async fn question(site: &Site, ask: &Ask) -> Result<Option<String>, Problem> {
    let name = text(&ask.name, 100);
    Ok(match ask.what.as_str() {
        "purge-queue" => Some(format!(
            "Throw away all that waits in the queue {name}, and what waits there for its time?"
        )),
        "clear-cache" => {
            Some(format!("Delete everything in the cache {name}? What it held is made anew."))
        }
        "clear-value" => {
            let argument = text(&ask.argument, 200);
            Some(format!("Delete the value for {argument} in the cache {name}?"))
        }
        "remove-schedule" => Some(format!("Remove the schedule {name}, and its pause?")),
        "end-sessions" => Some(format!("End all sessions of the user {name}, everywhere?")),
        "revoke-task" => Some(format!("Revoke the task {name}? It will not run, or be ended.")),
        "retry-letters" | "drop-letters" | "retry-ticked" | "drop-ticked" => {
            let n = meant(site, ask).await?.len();
            let does = if ask.what.starts_with("drop") { "Forget" } else { "Put back and run" };
            Some(format!("{does} {n} of them?"))
        }
        _ => None,
    })
}

async fn perform(site: &Site, ask: &Ask) -> Result<(), Problem> {
    let client = site.client();
    let note = Some(ask.note.trim()).filter(|note| !note.is_empty());
    match ask.what.as_str() {
        "pause-queue" => drop(pauses::pause(client, &ask.name, note).await?),
        "resume-queue" => drop(pauses::resume(client, &ask.name).await?),
        "purge-queue" => drop(pauses::purge(client, &ask.name, true).await?),
        "revoke-task" => {
            let keep = site.config().worker.revoke_expires;
            client.revoke(&ask.name, true, keep).await?;
        }
        "retry-letters" | "retry-ticked" => retry(site, ask).await?,
        "drop-letters" | "drop-ticked" => forget(site, ask).await?,
        "pause-schedule" | "resume-schedule" | "run-schedule" => schedule(site, ask).await?,
        "set-schedule" => drop(editing::set(site, ask.name.trim(), &ask.entry).await?),
        "remove-schedule" => drop(editing::remove(site, &ask.name).await?),
        "clear-cache" => {
            caching::clear(caching::named(site, &ask.name)?, None).await?;
        }
        "clear-value" if !ask.argument.is_empty() => {
            caching::clear(caching::named(site, &ask.name)?, Some(&ask.argument)).await?;
        }
        "end-sessions" => drop(caching::end(site, &ask.alias, &ask.name).await?),
        _ => return Err(Problem::bad("the form asks for nothing that is known")),
    }
    Ok(())
}

/// Returns the ids of the letters that are meant: those that are ticked, or a whole group.
async fn meant(site: &Site, ask: &Ask) -> Result<Vec<String>, Problem> {
    if ask.what.ends_with("ticked") {
        let none = || Problem::bad("nothing is ticked: go back, and tick what is meant");
        return Some(ask.ids.clone()).filter(|ids| !ids.is_empty()).ok_or_else(none);
    }
    let heads = letter::heads(site.client(), ask.letters(), &ask.filter(), GROUP).await?;
    Ok(heads.into_iter().filter(|one| ask.groups(one)).map(|one| one.id).collect())
}

async fn retry(site: &Site, ask: &Ask) -> Result<(), Problem> {
    for id in meant(site, ask).await? {
        replay::replay(site.client(), ask.letters(), &id).await?;
    }
    Ok(())
}

async fn forget(site: &Site, ask: &Ask) -> Result<(), Problem> {
    let ids = meant(site, ask).await?;
    letter::drop_letters(site.client(), ask.letters(), &ids).await?;
    Ok(())
}

async fn schedule(site: &Site, ask: &Ask) -> Result<(), Problem> {
    let known = editing::known(site, &ask.name).await?;
    let schedules = Schedules::new(site.client());
    match ask.what.as_str() {
        "pause-schedule" => drop(schedules.pause(&ask.name, ask.note.trim()).await?),
        "resume-schedule" => drop(schedules.resume(&ask.name).await?),
        _ => {
            let mut task = known.publish();
            task.options.expires_in = known.schedule.config.expires;
            site.client().publish(&task).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_written_again_whatever_is_in_it() {
        let ask = Ask::read(b"what=drop-letters&id=a%26b&id=%FF&reason=x%3Cy&back=//evil&other=1");
        assert_eq!((ask.ids.len(), ask.back(), ask.sure), (2, "/", false));
        let fields = ask.fields();
        assert!(
            fields.contains(&("id", "a&b".into())) && fields.contains(&("reason", "x<y".into()))
        );
        let many = "id=1&".repeat(1000);
        assert_eq!(Ask::read(many.as_bytes()).ids.len(), TICKED);
    }
}
