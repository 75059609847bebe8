//! `rhubarb share`.

use clap::Args;

use super::{Shown, not_empty};

/// `share`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb share shop.add 10
  rhubarb share shop.add 100
  rhubarb share shop.add default      what [share] of the configuration says, or all
  rhubarb share list

Workers see a change with their next heartbeat, within 2 s. It lasts until it is reset.")]
pub(crate) struct ShareArgs {
    /// The task's name; `list` alone shows all shares
    #[arg(value_name = "TASK|list", value_parser = not_empty)]
    pub(crate) task: String,
    /// How many of 100 of its messages our workers take, 0 to 100; or `default`
    #[arg(value_parser = parse_share)]
    pub(crate) percent: Option<Share>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What a task's share is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// So many of 100.
    Percent(u8),
    /// What the configuration says.
    Default,
}

fn parse_share(text: &str) -> Result<Share, String> {
    if text == "default" {
        return Ok(Share::Default);
    }
    let percent = text.parse().ok().filter(|percent| *percent <= 100);
    let expected = || "expected a whole number from 0 to 100, or `default`".to_owned();
    percent.map(Share::Percent).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_the_default() {
        assert_eq!(parse_share("0"), Ok(Share::Percent(0)));
        assert_eq!(parse_share("100"), Ok(Share::Percent(100)));
        assert_eq!(parse_share("default"), Ok(Share::Default));
        for wrong in ["", "101", "-1", "10%", "0.5", "all"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }
}
