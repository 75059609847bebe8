//! What a server's `INFO memory` says of its limit.

/// Returns the most that a use may take of a server with this `INFO memory`: what is `wanted`, but
/// no more than one `part`th of its `maxmemory`, where that is set.
pub fn share(wanted: u64, part: u64, info: &str) -> u64 {
    let max = info.lines().find_map(|line| line.strip_prefix("maxmemory:")?.trim().parse().ok());
    match max {
        None | Some(0) => wanted,
        Some(max) => wanted.min(max / part.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_has_at_most_its_part_of_a_small_server() {
        assert_eq!(share(16 << 20, 10, "used_memory:1\r\nmaxmemory:26214400\r\n"), 2_621_440);
        assert_eq!(share(16 << 20, 10, "maxmemory:0\r\n"), 16 << 20);
        assert_eq!(share(1 << 20, 10, "maxmemory:26214400\r\n"), 1 << 20);
        assert_eq!(share(1 << 20, 10, "rubbish"), 1 << 20);
        assert_eq!(share(100, 0, "maxmemory:10\r\n"), 10);
    }
}
