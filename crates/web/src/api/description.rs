//! What holds for all of the description.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
        ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::problem::{self, Problem};

const WORDS: &str = "Publish tasks, find out what became of them, and operate queues, dead letters, \
                     schedules and scraping. Every request has a token: `Authorization: Bearer \
                     TOKEN`. A token of `web.read_tokens` may GET; the others want one of \
                     `web.write_tokens`. Errors are problems of RFC 9457.";
const TOKEN: &str = "token";

/// Returns what it begins with.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Rhubarb")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(WORDS));
    OpenApiBuilder::new().info(info).build()
}

/// Adds to every operation the token that it demands, and the problems that it may answer with.
pub(super) fn complete(mut api: OpenApi) -> OpenApi {
    let components = api.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let no_scopes: [&str; 0] = [];
    api.security = Some(vec![SecurityRequirement::new(TOKEN, no_scopes)]);
    let all = api.paths.paths.values_mut();
    for operation in all.flat_map(operations) {
        add_problems(operation);
        name(operation);
    }
    api
}

/// Returns the operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, delete, patch, .. } = item;
    [get, post, put, delete, patch].into_iter().filter_map(Option::as_mut)
}

/// Names an operation after its tag too, so that each name is there once.
fn name(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(tag), Some(id)) = (tag, &mut operation.operation_id) {
        *id = format!("{tag}_{id}");
    }
}

fn add_problems(operation: &mut Operation) {
    let schema = RefOr::Ref(Ref::from_schema_name(Problem::name()));
    for (status, words) in [
        ("4XX", "The request cannot be carried out as it is."),
        ("5XX", "It cannot be carried out now, mostly because Redis is away."),
    ] {
        let content = ContentBuilder::new().schema(Some(schema.clone())).build();
        let response = ResponseBuilder::new().description(words).content(problem::JSON, content);
        operation.responses.responses.insert(status.to_owned(), RefOr::T(response.build()));
    }
}

/// Returns every operation: method, path as the description has it.
pub fn all(api: &OpenApi) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (path, item) in &api.paths.paths {
        for (method, operation) in [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("DELETE", &item.delete),
            ("PATCH", &item.patch),
        ] {
            if operation.is_some() {
                found.push((method, path.clone()));
            }
        }
    }
    found
}
