//! Flags of Celery's processes that ours have no use for: taken where nothing is lost by it,
//! refused where something is.

use std::{fmt, marker::PhantomData};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, error::ErrorKind,
    parser::ValueSource,
};

/// One flag of Celery's.
#[derive(Debug)]
pub struct Flag {
    /// Its letter, where it has one.
    pub short: Option<char>,
    /// Its name and its other names.
    pub long: &'static [&'static str],
    /// What follows it.
    pub takes: Takes,
    /// What becomes of it, by the value that was given.
    pub says: fn(&str) -> Says,
}

/// What follows a flag.
#[derive(Debug)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// What becomes of a flag, with the reason as the second half of a sentence.
#[derive(Debug)]
pub enum Says {
    /// It is taken, and changes nothing.
    ChangesNothing(&'static str),
    /// It would change what the process does, and is refused.
    Refused(&'static str),
}

use Says::{ChangesNothing, Refused};

/// A process's flags of this kind.
pub trait Flags {
    /// Those that only this process has.
    const OWN: &'static [Flag];
}

/// Those that all of Celery's processes have.
const SHARED: &[Flag] = &[
    Flag {
        short: Some('A'),
        long: &["app"],
        takes: Takes::Text,
        says: |_| ChangesNothing("tasks are those that the program registers"),
    },
    Flag {
        short: None,
        long: &["loader"],
        takes: Takes::Text,
        says: |_| ChangesNothing("no Python is loaded"),
    },
    Flag {
        short: None,
        long: &["skip-checks"],
        takes: Takes::Nothing,
        says: |_| ChangesNothing("no Django is loaded"),
    },
    Flag {
        short: Some('C'),
        long: &["no-color"],
        takes: Takes::Nothing,
        says: |_| ChangesNothing("only a terminal gets colours; --log-format logfmt has none"),
    },
    Flag {
        short: Some('q'),
        long: &["quiet"],
        takes: Takes::Nothing,
        says: |_| ChangesNothing("no banner is printed"),
    },
    Flag {
        short: None,
        long: &["executable"],
        takes: Takes::Text,
        says: |_| ChangesNothing("there is no interpreter to choose"),
    },
    Flag {
        short: None,
        long: &["umask"],
        takes: Takes::Text,
        says: |_| ChangesNothing("no files are written"),
    },
    Flag {
        short: Some('b'),
        long: &["broker"],
        takes: Takes::Text,
        says: |_| Refused("give the address by --redis-url or CELERY_BROKER_URL"),
    },
    Flag {
        short: None,
        long: &["result-backend"],
        takes: Takes::Text,
        says: |_| Refused("give the address by --redis-url or CELERY_RESULT_BACKEND"),
    },
    Flag {
        short: None,
        long: &["workdir"],
        takes: Takes::Text,
        says: |_| Refused("start the process in that directory"),
    },
    Flag {
        short: Some('f'),
        long: &["logfile"],
        takes: Takes::Text,
        says: |_| Refused("the log goes to standard output; send it to a file with `>> FILE`"),
    },
    Flag {
        short: None,
        long: &["pidfile"],
        takes: Takes::Text,
        says: |_| {
            Refused("no pid file is written; let what starts the process keep its id (`echo $!`)")
        },
    },
    Flag {
        short: None,
        long: &["uid"],
        takes: Takes::Text,
        says: |_| Refused("no privileges are dropped; start the process as that user"),
    },
    Flag {
        short: None,
        long: &["gid"],
        takes: Takes::Text,
        says: |_| Refused("no privileges are dropped; start the process as that group"),
    },
];

/// The flags of one command line that were given, of the kind `F`: what is left to tell of them.
pub struct CelerysFlags<F> {
    told: Vec<String>,
    of: PhantomData<F>,
}

impl<F> CelerysFlags<F> {
    /// Returns a sentence for each flag that was taken and changes nothing.
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

impl<F> fmt::Debug for CelerysFlags<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.told).finish()
    }
}

impl<F: Flags> Args for CelerysFlags<F> {
    fn augment_args(command: Command) -> Command {
        all::<F>().fold(command, |command, flag| command.arg(flag.arg()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Flags> FromArgMatches for CelerysFlags<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = all::<F>()
            .filter(|flag| matches.value_source(flag.id()) == Some(ValueSource::CommandLine));
        let told = given.map(|flag| flag.told(matches)).collect::<Result<_, _>>()?;
        Ok(Self { told, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn all<F: Flags>() -> impl Iterator<Item = &'static Flag> {
    SHARED.iter().chain(F::OWN)
}

impl Flag {
    fn id(&self) -> &'static str {
        self.long[0]
    }

    fn arg(&self) -> Arg {
        let arg = Arg::new(self.id()).long(self.id()).hide(true);
        let arg = self.long[1..].iter().fold(arg, |arg, other| arg.alias(*other));
        let arg = match self.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        match self.takes {
            Takes::Nothing => arg.action(ArgAction::SetTrue),
            Takes::Text => arg.value_name("TEXT"),
            Takes::Number => arg.value_name("N").value_parser(number).allow_negative_numbers(true),
            Takes::OneOf(words) => arg.value_name("WORD").value_parser(words.to_vec()),
        }
    }

    fn told(&self, matches: &ArgMatches) -> Result<String, Error> {
        let value = match self.takes {
            Takes::Nothing => "",
            _ => matches.get_one::<String>(self.id()).map_or("", String::as_str),
        };
        match (self.says)(value) {
            ChangesNothing(why) => Ok(format!("--{} changes nothing here: {why}", self.id())),
            Refused(why) => Err(refused(self.id(), why)),
        }
    }
}

fn refused(long: &str, why: &str) -> Error {
    Error::raw(ErrorKind::InvalidValue, format!("--{long} is refused: {why}\n"))
}

fn number(text: &str) -> Result<String, String> {
    let number = text.trim().parse::<i64>();
    number.map(|n| n.to_string()).map_err(|_| "a whole number is expected".to_owned())
}
