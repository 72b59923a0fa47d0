//! `erase`: a person, everywhere.

use anyhow::Result;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::ids::id;
use super::state::open_migrated;
use crate::config::Config;
use crate::event::Person;
use crate::ids::{PageId, UserId};
use crate::jobs::erase::{Report, UnsentReport, erase, erase_unsent};
use crate::telemetry;

/// Who is to be erased.
#[derive(Debug, Args)]
pub struct Whom {
    /// The customer's id (PSID, or Instagram-scoped id), as in the column `user_id`
    #[arg(long, value_name = "USER", required_unless_present = "unsent", conflicts_with = "unsent")]
    user: Option<String>,
    /// Instead of a person what messages said that were taken back
    #[arg(long)]
    unsent: bool,
    /// Only what they have to do with this page
    #[arg(long, value_name = "PAGE")]
    page: Option<String>,
    /// Only count what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// A line of what was done.
#[derive(Debug, Serialize)]
struct Line {
    place: String,
    deleted: u64,
    changed: u64,
}

/// Erases, and tells what was erased and what is left.
///
/// # Errors
/// Bad ids; PostgreSQL is away, or the role may not; the spool cannot be written.
pub async fn run(config: &Config, whom: Whom) -> Result<()> {
    let Whom { user, unsent: _, page, dry_run, json } = whom;
    let page_id: Option<PageId> = page.map(|page| id("--page", &page)).transpose()?;
    let user_id: Option<UserId> = user.map(|user| id("--user", &user)).transpose()?;
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} months of the journal")?;
    let bar = ProgressBar::no_length().with_style(style);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let (store, data_dir) = (&database.store, &config.storage.data_dir);
    let erased = match user_id {
        Some(user_id) => {
            let person = Person { user_id, page_id };
            erase(store, data_dir, person, dry_run, progress).await.map(|report| (lines(&report), Some(report)))
        }
        None => erase_unsent(store, page_id, dry_run, progress).await.map(|report| (unsent_lines(report), None)),
    };
    bar.finish_and_clear();
    database.close().await;
    let (lines, report) = erased?;
    if json {
        let untouched = report.map(|report| report.foreign_months);
        println!("{}", serde_json::json!({ "dry_run": dry_run, "erased": lines, "untouched": untouched }));
        return Ok(());
    }
    println!("{}", table(&lines));
    match report {
        _ if dry_run => println!("\nNothing was changed: this was a dry run."),
        Some(report) => tell_the_rest(&report),
        None => println!("\nA repetition of what was erased is passed over. Not looked into: quarantine and spool."),
    }
    Ok(())
}

fn unsent_lines(report: UnsentReport) -> Vec<Line> {
    let line = |place: &str, changed| Line { place: place.to_owned(), deleted: 0, changed };
    vec![line("events", report.events.changed), line("messages", report.messages)]
}

fn lines(report: &Report) -> Vec<Line> {
    let line = |place: &str, deleted, changed| Line { place: place.to_owned(), deleted, changed };
    let mut lines = vec![line("events", report.events.deleted, report.events.changed)];
    lines.extend(report.tables.iter().map(|(table, rows)| line(table, *rows, 0)));
    lines.push(line("quarantine", report.quarantine.deleted, report.quarantine.changed));
    lines.push(line("spool", 0, report.spool.bodies));
    lines.push(line("damaged spool files", 0, report.spool.damaged_files));
    lines
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "deleted", "changed"]);
    for Line { place, deleted, changed } in lines {
        table.add_row([place.clone(), deleted.to_string(), changed.to_string()]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn tell_the_rest(report: &Report) {
    println!(
        "\nWhat was told before now does not come back, from whatever source. What the person does from now on is kept.\n\
         Not reached from here: backups, copies and exports of the database, the spools of services on other machines\n\
         (what waits there is passed over when it is stored), the logs of PostgreSQL and of proxies, and disk pages until\n\
         PostgreSQL uses them again."
    );
    if !report.foreign_months.is_empty() {
        println!(
            "Not touched, because somebody has detached them from the journal: {}",
            report.foreign_months.join(", ")
        );
    }
}
