//! `[[scrape.webhooks]]`.

use rhubarb_config::{Secret, redact::Address, rules::is_name, settings};

settings! {
    /// One `[[scrape.webhooks]]` entry: an address that is told of a keyword's new postings.
    #[derive(Clone, Debug, PartialEq)]
    pub struct WebhookConfig {
        /// What it is called in tasks and logs; each has its own.
        name: String = String::new(), accepts "text of 1 to 200 characters",
            if |text| is_name(text), example "\"crm\"", required true;
        /// It receives a POST of JSON. One in a private network has to be named in
        /// `scrape.allow_private` too.
        url: Address = Address::default(), accepts "an http:// or https:// address",
            if |url| url.is_http(), example "\"https://crm.example/hooks/jobs\"", required true;
        /// What messages are signed with, as Standard Webhooks has it: "whsec_" and base64, or any
        /// text of at least 16 characters.
        secret: Secret = Secret::default(),
            example "\"whsec_…\"", required true;
        /// Only new postings of these keywords; without any those of all.
        keywords: Vec<String> = Vec::new(), accepts "a list of at most 1000 keywords",
            if |list| list.len() <= 1000 && list.iter().all(|word| is_name(word));
    }
}

/// Returns a problem for each webhook whose name is another's before it.
pub(super) fn taken_names(webhooks: &[WebhookConfig]) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    let taken = webhooks.iter().enumerate().filter(|(_, hook)| !names.insert(&hook.name));
    taken
        .map(|(idx, WebhookConfig { name, .. })| {
            format!("scrape.webhooks[{idx}].name: `{name}` is taken; give each webhook its own")
        })
        .collect()
}
