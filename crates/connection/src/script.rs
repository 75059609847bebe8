//! A Lua script with its name and hash.

/// A Lua script. Its name stands in errors.
#[derive(Clone, Debug)]
pub struct Script {
    name: &'static str,
    code: String,
    hash: String,
}

impl Script {
    /// Names a script's text.
    pub fn new(name: &'static str, code: impl Into<String>) -> Self {
        let code = code.into();
        Self { name, hash: redis::Script::new(&code).get_hash().to_owned(), code }
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

/// Declares a crate's scripts: `pub NAME = "file";` is the file `scripts/file.lua` beside the
/// calling one. What several have in common is a text put before theirs: `pub NAME = "file" with
/// TEXT;`.
#[macro_export]
macro_rules! scripts {
    ($($(#[$doc:meta])* $vis:vis $name:ident = $file:literal $(with $part:expr)?;)*) => {
        $($(#[$doc])* $vis static $name: std::sync::LazyLock<$crate::Script> =
            std::sync::LazyLock::new(|| $crate::Script::new(
                $file,
                [$($part,)? include_str!(concat!("scripts/", $file, ".lua"))].concat(),
            ));)*
    };
}
