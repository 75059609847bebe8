//! Django's cache aliases: `[cache.aliases.NAME]`.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_config::{Kept, rules::seconds, settings, words};
use rhubarb_connection::Role;

/// Django's caches, as `settings.CACHES` has them.
pub type Aliases = BTreeMap<String, AliasConfig>;

settings! {
    /// One of Django's cache aliases.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AliasConfig {
        /// The connection: "cache", "sessions" or "jobs".
        role: Role = Role::Cache;
        /// `KEY_PREFIX`.
        prefix: String = String::new();
        /// `VERSION`.
        version: u32 = 1;
        /// `TIMEOUT`; "none" for ever.
        timeout: Option<Duration> = Some(seconds(300)), through Kept;
        /// `SERIALIZER`: "pickle", "json" or "msgpack".
        serializer: Serializer = Serializer::Pickle;
        /// `COMPRESSOR`: "none", "zlib", "gzip", "lzma", "lz4" or "zstd"; all are read in any case.
        compressor: Compressor = Compressor::None;
        /// `IGNORE_EXCEPTIONS`: with a Redis that fails, reads find nothing and writes are left
        /// out.
        ignore_exceptions: bool = false;
    }
    check check_role;
}

/// How Django serialises cache values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    /// django-redis's default.
    #[default]
    Pickle,
    /// `django_redis.serializers.json.JSONSerializer`.
    Json,
    /// `django_redis.serializers.msgpack.MSGPackSerializer`.
    MsgPack,
}
words!(Serializer: "pickle" => Self::Pickle, "json" => Self::Json, "msgpack" => Self::MsgPack);

/// How Django compresses cache values. Reading goes by each value's magic, whatever is set here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compressor {
    /// django-redis's default: not at all.
    #[default]
    None,
    /// `django_redis.compressors.zlib.ZlibCompressor`.
    Zlib,
    /// `django_redis.compressors.gzip.GzipCompressor`.
    Gzip,
    /// `django_redis.compressors.lzma.LzmaCompressor`.
    Lzma,
    /// `django_redis.compressors.lz4.Lz4Compressor`.
    Lz4,
    /// `django_redis.compressors.zstd.ZStdCompressor`.
    Zstd,
}
words!(Compressor: "none" => Self::None, "zlib" => Self::Zlib, "gzip" => Self::Gzip,
    "lzma" => Self::Lzma, "lz4" => Self::Lz4, "zstd" => Self::Zstd);

impl AliasConfig {
    /// Returns an alias as django-redis has it where nothing is set: 300 seconds, pickle, version
    /// 1.
    pub fn new(role: Role, prefix: &str) -> Self {
        Self { role, prefix: prefix.into(), ..Self::default() }
    }
}

fn check_role(alias: &mut AliasConfig, wrong: &mut dyn FnMut(&str, String)) {
    if matches!(alias.role, Role::Queue | Role::Results) {
        let problem = "one of \"cache\", \"sessions\", \"jobs\" is expected: clearing a cache \
                       empties its database, tasks and all";
        wrong("role", problem.to_owned());
    }
}
