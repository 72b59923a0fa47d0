//! `token`: Sobot's token, which all processes on a database share.

use anyhow::Result;

use super::state::open_migrated;
use crate::config::Config;
use crate::database::sobot;
use crate::telemetry;

/// Says until when the token is valid, or prints it alone. One is fetched if none is valid.
///
/// # Errors
/// There are no credentials; PostgreSQL is away; Sobot gives no token.
pub async fn run(config: &Config, show: bool) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let token = async { Ok::<_, anyhow::Error>(sobot(config, &database.store)?.token().await?) };
    let token = token.await;
    database.close().await;
    let token = token?;
    if show {
        println!("{}", token.token.expose());
    } else {
        println!(
            "a token is held, fetched at {} and valid until {}",
            token.fetched_at.to_rfc3339(),
            token.expires_at.to_rfc3339()
        );
    }
    Ok(())
}
