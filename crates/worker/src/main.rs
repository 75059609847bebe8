//! The binary `worker`: the scraping tasks in a worker.

fn main() -> std::process::ExitCode {
    rhubarb_worker::main(rhubarb_worker::tasks::register)
}
