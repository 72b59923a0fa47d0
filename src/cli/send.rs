//! `send`: one message through the outbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::ids::id;
use super::state::open_migrated;
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::database::sobot;
use crate::ids::{PageId, Topic, UserId};
use crate::jobs::outbox::{Worker, not_subscribed};
use crate::outbound::sobot::{SendRequest, Sobot};
use crate::store::{Entry, NewEntry, Queued, Status, Store};
use crate::telemetry;

/// How often the outcome is looked for while a service sends.
const PAUSE: Duration = Duration::from_millis(200);

/// What is to be sent, and to whom.
#[derive(Debug, Args)]
pub struct Message {
    /// The page that writes
    #[arg(long, value_name = "PAGE")]
    page: String,
    /// The customer (PSID)
    #[arg(long = "to", value_name = "USER")]
    user: String,
    /// A marketing message, to the token of the customer's subscription to this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// A text
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["url", "json"])]
    text: Option<String>,
    /// image, audio, video or file, with --url
    #[arg(long = "type", value_name = "TYPE", requires = "url", conflicts_with = "json")]
    kind: Option<String>,
    /// Where the attachment is, with --type
    #[arg(long, value_name = "URL", requires = "kind")]
    url: Option<String>,
    /// A file with type and payload as in Sobot's document, such as a template; - for standard input
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// `RESPONSE`, `UPDATE` or `MESSAGE_TAG`
    #[arg(long, value_name = "TYPE")]
    messaging_type: Option<String>,
    /// `ACCOUNT_UPDATE`, `CONFIRMED_EVENT_UPDATE`, `HUMAN_AGENT` or `POST_PURCHASE_UPDATE`
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The same key for the same customer is the same message, however often it is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Send although the 24 hours are over, or nobody knows
    #[arg(long)]
    force: bool,
    /// Only check
    #[arg(long)]
    dry_run: bool,
    /// Print the outcome as JSON
    #[arg(long = "output-json")]
    output_json: bool,
}

/// Sends and tells what became of it.
///
/// # Errors
/// What the document forbids; the window is closed; PostgreSQL is away; it was not sent, or nobody knows.
pub async fn run(config: &Config, message: Message) -> Result<()> {
    let page_id: PageId = id("--page", &message.page)?;
    let user_id: UserId = id("--to", &message.user)?;
    let topic: Option<Topic> = message.topic.as_deref().map(|topic| id("--topic", topic)).transpose()?;
    let request = request(&message)?;
    let checked = SendRequest::from_json(request.to_string().as_bytes());
    let checked = checked.map_err(|invalid| ConfigError(invalid.to_string()))?;
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let sending = async {
        let sobot = sobot(config, &database.store)?;
        if !message.force {
            check_window(&database.store, &page_id, &user_id, topic.as_ref(), &checked).await?;
        }
        if message.dry_run {
            println!("it could be sent");
            return Ok(());
        }
        let entry = NewEntry {
            idempotency_key: message.key.as_deref(),
            page_id: &page_id,
            user_id: &user_id,
            topic: topic.as_ref(),
            request: &request,
        };
        let Queued::As(number) = database.store.enqueue(&entry).await? else {
            bail!("another message to this user has the key already; take another key");
        };
        tell(&outcome(&database.store, &sobot, number).await?, message.output_json)
    };
    let sent = sending.await;
    database.close().await;
    sent
}

/// The request as Sobot's document has it, addressed to the user.
fn request(message: &Message) -> Result<Value> {
    let mut request = match (&message.text, &message.kind, &message.url, &message.json) {
        (Some(text), ..) => json!({ "type": "text", "payload": text }),
        (_, Some(kind), Some(url), _) => json!({ "type": kind, "payload": { "url": url } }),
        (.., Some(file)) => read(file)?,
        _ => return Err(ConfigError("give --text, --type with --url, or --json".to_owned()).into()),
    };
    let Some(members) = request.as_object_mut() else {
        return Err(ConfigError("the file of --json must hold an object with type and payload".to_owned()).into());
    };
    for name in ["recipient_token", "recipientid", "pageid"] {
        members.remove(name);
    }
    members.insert("pageid".to_owned(), message.page.as_str().into());
    members.insert("recipientid".to_owned(), message.user.as_str().into());
    for (name, value) in [("messaging_type", &message.messaging_type), ("tag", &message.tag)] {
        if let Some(value) = value {
            members.insert(name.to_owned(), value.as_str().into());
        }
    }
    Ok(request)
}

fn read(file: &std::path::Path) -> Result<Value> {
    let text =
        if file.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|error| ConfigError(format!("cannot read {} (--json): {error}", file.display())))?;
    // The error of serde_json quotes nothing.
    let json = serde_json::from_str(&text);
    Ok(json.map_err(|error| ConfigError(format!("{} (--json) is no JSON: {error}", file.display())))?)
}

/// What Facebook would refuse, or punish.
async fn check_window(
    store: &Store,
    page_id: &PageId,
    user_id: &UserId,
    topic: Option<&Topic>,
    request: &SendRequest,
) -> Result<()> {
    if let Some(topic) = topic {
        if store.marketing_token(page_id, user_id, topic).await?.is_none() {
            bail!("{}", not_subscribed());
        }
        return Ok(());
    }
    if request.tag.is_some() {
        return Ok(());
    }
    match store.window_open_until(page_id, user_id).await? {
        Some(until) if until > clock::now() => Ok(()),
        Some(until) => bail!(
            "the 24 hours in which the page may answer ended at {}; give --tag, or --force to try all the same",
            until.to_rfc3339()
        ),
        None => bail!(
            "nothing is known that the user wrote to this page, so it may not write first; give --tag, or --force to try"
        ),
    }
}

/// Waits until the message is settled, as far as it can be: a service sends it, or else this process does.
async fn outcome(store: &Store, sobot: &Arc<Sobot>, number: i64) -> Result<Entry> {
    let mut worker: Option<Worker> = None;
    loop {
        let entry = store.outbox_entry(number).await?;
        let entry = entry.ok_or_else(|| anyhow::anyhow!("the message is no longer in the outbox"))?;
        if !matches!(entry.status, Status::Waiting | Status::Sending) {
            if let Some(worker) = worker {
                worker.give_up().await?;
            }
            return Ok(entry);
        }
        if worker.is_none() {
            let lead = store.lead_outbox().await?;
            worker = lead.map(|lead| Worker::new(store.clone(), Arc::clone(sobot), lead));
        }
        match &mut worker {
            Some(worker) => {
                let rest = worker.step().await?;
                tokio::time::sleep(rest.min(PAUSE)).await;
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn tell(entry: &Entry, as_json: bool) -> Result<()> {
    if as_json {
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
        let told = json!({
            "id": entry.id,
            "idempotency_key": entry.idempotency_key,
            "page_id": entry.page_id,
            "user_id": entry.user_id,
            "topic": entry.topic,
            "status": entry.status.as_str(),
            "mid": entry.mid,
            "error": entry.error,
            "created_at": entry.created_at.to_rfc3339(),
            "attempted_at": time(entry.attempted_at),
            "settled_at": time(entry.settled_at),
        });
        println!("{told}");
    }
    let reason = entry.error.as_deref().unwrap_or("no reason is known");
    match entry.status {
        Status::Sent if as_json => Ok(()),
        Status::Sent => {
            println!("sent as {}", entry.mid.as_deref().unwrap_or("a message whose mid Sobot did not tell"));
            Ok(())
        }
        Status::Failed => bail!("not sent: {reason}"),
        _ => bail!(
            "perhaps sent ({reason}); it will not be sent again by itself, and an echo or a delivery settles it: \
             outbox number {}",
            entry.id
        ),
    }
}
