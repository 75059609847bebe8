//! `web`

use std::net::IpAddr;

use clap::Args;

/// `web`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb web                                       on http://127.0.0.1:8080/
  rhubarb web --new-token ops                       makes a token, and starts nothing
  RHUBARB_WEB_WRITE_TOKENS=ops:HASH rhubarb web --bind 0.0.0.0

Where a platform sets PORT, it listens there on 0.0.0.0. Beyond this machine it does not start \
without web.read_tokens, web.write_tokens, or users of Django's (web.django_operators). /health/live and /health/ready need no token; /metrics \
takes one as `Authorization: Bearer TOKEN`.")]
pub(crate) struct WebArgs {
    /// The port to listen on; 0 takes a free one [default: $PORT, else 8080]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// The IP address to listen on [default: 127.0.0.1, or 0.0.0.0 with $PORT]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub(crate) bind: Option<IpAddr>,
    /// Make a token of this name, print it and what the configuration holds of it, and exit
    #[arg(long, value_name = "NAME", value_parser = parse_name,
        conflicts_with_all = ["port", "bind"])]
    pub(crate) new_token: Option<String>,
}

impl WebArgs {
    /// Returns the settings that were given.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let port = self.port.map(|port| ("web.port", port.to_string()));
        let bind = self.bind.map(|bind| ("web.bind", bind.to_string()));
        port.into_iter().chain(bind).collect()
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address such as 127.0.0.1, 0.0.0.0 or ::".to_owned())
}

fn parse_name(text: &str) -> Result<String, String> {
    let is_name = (1..=100).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    let told = "expected 1 to 100 letters, digits, or `.`, `_`, `-`, `@`";
    if is_name { Ok(text.to_owned()) } else { Err(told.to_owned()) }
}
