//! The shop's worker. It takes every flag of `worker`: `cargo run --bin shop -- --queues shop`.

fn main() -> std::process::ExitCode {
    rhubarb::main(shop::register)
}
