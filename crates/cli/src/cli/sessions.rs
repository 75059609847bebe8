//! The command line of `sessions`.

use clap::{ArgGroup, Args, Subcommand};

use super::{Shown, not_empty};

/// `sessions`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Counts the sessions, logged in or not
    Count(CountArgs),
    /// Shows one session, or those of a user
    ///
    /// A key is as good as the visitor's password. So only its beginning is shown, and `show` and
    /// `revoke` take the beginning as well. The names of what a session holds are shown; --values
    /// shows the values too. Secrets (hashes, CSRF tokens) and whole keys need --reveal.
    Show(ShowArgs),
    /// Ends one session, or all of a user: they are logged out of Django and of the services that
    /// share its logins
    ///
    /// A session that cannot be read, for example because it holds a class of the application's
    /// own, ends too when its data names the user. Others of that kind are reported; end them by
    /// their KEY.
    ///
    /// With Django's `cached_db` the session is emptied, and its row in `django_session` stays:
    /// delete the row as well where Redis may lose keys. `count` counts the empty session until it
    /// expires.
    Revoke(RevokeSessionsArgs),
}

/// Where the sessions are.
#[derive(Args, Debug)]
pub(crate) struct AliasArg {
    /// The cache alias that Django's SESSION_CACHE_ALIAS names
    #[arg(long, value_name = "NAME", default_value = "sessions")]
    pub(crate) alias: String,
}

/// `sessions count`
#[derive(Args, Debug)]
pub(crate) struct CountArgs {
    /// Where they are.
    #[command(flatten)]
    pub(crate) at: AliasArg,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// Which sessions are meant.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["key", "user"]))]
pub(crate) struct WhichArgs {
    /// The session's key, or its first 8 characters or more
    #[arg(value_name = "KEY", value_parser = not_empty)]
    pub(crate) key: Option<String>,
    /// All sessions of the user with this primary key
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) user: Option<String>,
}

/// `sessions show`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb sessions show s6efptxb --values
  rhubarb sessions show --user 7 --json")]
pub(crate) struct ShowArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Show what the sessions hold, not only the names
    #[arg(long)]
    pub(crate) values: bool,
    /// Show whole keys, and the secrets among the values
    #[arg(long)]
    pub(crate) reveal: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Where they are.
    #[command(flatten)]
    pub(crate) at: AliasArg,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `sessions revoke`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb sessions revoke --user 7
  rhubarb sessions revoke s6efptxb --yes

Exit code 1 when nothing was ended.")]
pub(crate) struct RevokeSessionsArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Where they are.
    #[command(flatten)]
    pub(crate) at: AliasArg,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}
