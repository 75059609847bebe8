//! stub
/// stub
pub fn main(_: impl FnOnce(&mut crate::App) -> anyhow::Result<()>) {}
