//! Files that are in the binary: styles and scripts, compressed once, under names that change with
//! what is in them, so that a browser may keep them for ever.

use std::{io::Write, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// All of them: name, media type, bytes. Pages name them by [`url`].
const FILES: [(&str, &str, &[u8]); 3] = [
    ("app.css", "text/css; charset=utf-8", include_bytes!("../assets/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../assets/app.js")),
    ("theme.js", "text/javascript; charset=utf-8", include_bytes!("../assets/theme.js")),
];

/// What a browser does with one: keeps it.
const KEPT: &str = "public, max-age=31536000, immutable";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.map(Asset::new).into());

#[derive(Debug)]
struct Asset {
    name: &'static str,
    url: String,
    kind: &'static str,
    plain: &'static [u8],
    gzip: Bytes,
}

impl Asset {
    fn new((name, kind, plain): (&'static str, &'static str, &'static [u8])) -> Self {
        let hash = Sha256::digest(plain);
        let hash = hex(&hash[..5]);
        let (stem, end) = name.rsplit_once('.').unwrap_or((name, "bin"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = gzip.write_all(plain).and_then(|()| gzip.finish());
        let gzip = gzip.expect("writing to memory does not fail").into();
        Self { name, url: format!("/assets/{stem}.{hash}.{end}"), kind, plain, gzip }
    }
}

/// Returns the address of a file.
///
/// # Panics
///
/// There is none of this name: a template is wrong.
pub fn url(name: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    &found.unwrap_or_else(|| panic!("no asset is named `{name}`")).url
}

/// Serves one.
///
/// # Errors
///
/// 404 for any other name.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.url.strip_prefix("/assets/") == Some(&file));
    let asset = found.ok_or_else(|| Problem::not_found("there is no such file"))?;
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let head = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, KEPT),
        (header::VARY, "accept-encoding"),
    ];
    if accepts.is_some_and(|accepts| accepts.contains("gzip")) {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        return Ok((head, encoding, asset.gzip.clone()).into_response());
    }
    Ok((head, asset.plain).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_compressed_under_80_kb_and_named_after_what_is_in_them() {
        let total: usize = ASSETS.iter().map(|asset| asset.gzip.len()).sum();
        assert!(total < 80_000, "{total}");
        let css = url("app.css");
        assert!(css.starts_with("/assets/app.") && css.ends_with(".css"), "{css}");
        assert_eq!(css.len(), "/assets/app.0123456789.css".len());
    }
}
