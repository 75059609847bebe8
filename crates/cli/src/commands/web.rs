//! `web`: the dashboard, a process that goes on until it is told to stop.

use rhubarb_core::{exit, process, telemetry};
use rhubarb_settings::Loaded;

use crate::{error::Error, output};

/// Serves until SIGTERM or SIGINT, and returns the exit code.
pub(crate) fn serve(loaded: Loaded) -> u8 {
    if let Err(code) = process::log(&loaded, telemetry::Output::Stdout) {
        return code;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread();
    process::run(runtime, async |shutdown| {
        let traces = process::traces(&loaded.config.telemetry);
        let code = match rhubarb_web::serve(loaded.config, &shutdown).await {
            Ok(()) => exit::OK,
            Err(error @ rhubarb_web::Error::Listen { .. }) => {
                tracing::error!("{error}");
                exit::FAILED
            }
            Err(error) => exit::refuse(&error),
        };
        process::finish(traces, crate::LAST_SPANS).await;
        code
    })
}

/// Makes a token, and prints it with what the configuration holds of it.
pub(crate) fn new_token(name: &str) -> Result<(), Error> {
    let (token, kept) = rhubarb_web::door::new_token(name);
    output::note("keep the token: it is shown only now. The line for the configuration goes into");
    output::note("web.write_tokens, or into web.read_tokens for one who may change nothing");
    Ok(output::print(&format!("token:         {token}\nconfiguration: {}", kept.written()))?)
}
