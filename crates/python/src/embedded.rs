//! The Python files that this crate carries.

use serde_json::{Map, Value};

/// What `python -c` is given.
pub(crate) const BOOT: &str = include_str!("../python/boot.py");

macro_rules! modules {
    ($($name:literal $file:literal)*) => {
        [$(($name, include_str!(concat!("../python/rhubarb_pool/", $file)))),*]
    };
}

/// Returns the modules by name.
pub(crate) fn modules() -> Map<String, Value> {
    let modules = modules! {
        "rhubarb_pool" "__init__.py"
        "rhubarb_pool.application" "application.py"
        "rhubarb_pool.backend" "backend.py"
        "rhubarb_pool.child" "child.py"
        "rhubarb_pool.frames" "frames.py"
        "rhubarb_pool.logs" "logs.py"
        "rhubarb_pool.parent" "parent.py"
        "rhubarb_pool.phases" "phases.py"
        "rhubarb_pool.transport" "transport.py"
        "rhubarb_pool.zygote" "zygote.py"
    };
    modules.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_carried() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python/rhubarb_pool");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let files = files.filter(|name| name.to_string_lossy().ends_with(".py")).count();
        assert_eq!(files, modules().len());
    }
}
