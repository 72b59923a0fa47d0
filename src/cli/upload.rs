//! `upload`: a file that Facebook fetches, and the attachment that it becomes.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::asked_once;
use super::ids::id;
use super::state::open_migrated;
use super::time::duration;
use crate::config::Config;
use crate::database::sobot;
use crate::jobs::upload::{self, UploadError};
use crate::outbound::sobot::{MediaKind, Upload};
use crate::telemetry;

/// What is to be uploaded.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Where Facebook fetches the file
    url: String,
    /// The page that will send it
    #[arg(long, value_name = "PAGE")]
    page: String,
    /// What it is
    #[arg(long = "type", value_name = "TYPE")]
    kind: Kind,
    /// How long to wait for the attachment, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    wait: Duration,
    /// Print both ids as JSON
    #[arg(long)]
    json: bool,
}

/// A kind of file, as Sobot names it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Image,
    Audio,
    Video,
    File,
}

impl From<Kind> for MediaKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Image => Self::Image,
            Kind::Audio => Self::Audio,
            Kind::Video => Self::Video,
            Kind::File => Self::File,
        }
    }
}

/// Asks for the upload, and waits for what becomes of it.
///
/// # Errors
/// Sobot did not take it, or nobody knows; the time is over; PostgreSQL is away.
pub async fn run(config: &Config, wanted: Wanted) -> Result<()> {
    let upload = Upload { page_id: id("--page", &wanted.page)?, kind: wanted.kind.into(), url: wanted.url };
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let uploading = async {
        let sobot = sobot(config, &database.store)?;
        let track_id = upload::request(&database.store, &sobot, &upload).await.map_err(|error| match error {
            UploadError::Sobot(error) => {
                asked_once::failure(error, "look for an unclaimed upload in the view upload_status")
            }
            error @ UploadError::Store { .. } => error.into(),
        })?;
        let attachment_id = upload::attachment(&database.store, &track_id, wanted.wait).await?;
        Ok::<_, anyhow::Error>((track_id, attachment_id))
    };
    let uploaded = uploading.await;
    database.close().await;
    let (track_id, attachment_id) = uploaded?;
    let track_id = track_id.as_str();
    if wanted.json {
        println!("{}", json!({ "track_id": track_id, "attachment_id": attachment_id }));
    }
    match attachment_id {
        Some(_) if wanted.json => Ok(()),
        Some(attachment_id) => {
            println!("track_id {track_id}\nattachment_id {attachment_id}");
            Ok(())
        }
        None => bail!(
            "no attachment_id within {} s for track_id {track_id}; the callback will still be matched when it comes: see \
             the view upload_status",
            wanted.wait.as_secs_f64()
        ),
    }
}
