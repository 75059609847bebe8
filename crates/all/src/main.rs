//! The binary `rhubarb-all`, which `rhubarb all` becomes.

/// As in the binary `worker`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    rhubarb_all::main()
}
