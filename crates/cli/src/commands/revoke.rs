//! `revoke`: tasks that shall not run, or not go on.

use crate::{cli::RevokeArgs, error::Error, output, table::clean};

use super::Context;

/// Revokes tasks for Rhubarb's and Python's workers alike, and says who heard.
pub(super) async fn revoke(context: &Context, args: &RevokeArgs) -> Result<(), Error> {
    let keep = context.config.worker.revoke_expires;
    for id in &args.ids {
        let heard = context.client.revoke(id, args.terminate, keep).await?;
        let who = match heard {
            0 => "no worker hears now; those that start obey".to_owned(),
            1 => "one worker heard".to_owned(),
            n => format!("{n} workers heard"),
        };
        output::print(&format!("{} revoked: {who}", clean(id)))?;
    }
    Ok(())
}
