fn main() -> std::process::ExitCode {
    rhubarb_monitor::run().into()
}
