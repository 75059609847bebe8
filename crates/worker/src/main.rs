//! The binary `worker`: the scraping tasks in a worker.

fn main() -> std::process::ExitCode {
    rhubarb::main(rhubarb_jobs::tasks::register)
}
