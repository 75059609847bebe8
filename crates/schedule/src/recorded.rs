//! Finds the recorded public data that some tests run over where it is at hand.

use std::path::Path;

/// Reads a file of `../shared/realdata` beside the workspace; says loudly when the folder is not
/// there.
pub(crate) fn read(path: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata");
    if !folder.is_dir() {
        eprintln!(
            "LEFT OUT: the recorded suite `{path}`, because {} does not exist",
            folder.display()
        );
        return None;
    }
    let file = folder.join(path);
    Some(std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
}
