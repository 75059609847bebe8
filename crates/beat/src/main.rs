//! The binary `beat`: publishes scheduled tasks.

fn main() -> std::process::ExitCode {
    rhubarb_beat::main()
}
