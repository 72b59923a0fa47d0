//! Two versions of the service in turns: the present one against another build, such as the one before a change.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::Table;

use crate::contender::Contender;
use crate::measure::{in_turns, postmaster, season};
use crate::plan::{HALF, TURNS, Turn, Who};
use crate::report::{Figures, median, table};
use crate::support::database::{self, Server};

type Read = fn(&Figures) -> f64;

/// What is compared: name, digits after the point, and where it stands.
const COMPARED: [(&str, usize, Read); 6] = [
    ("events/s", 0, |figures| figures.events_per_second),
    ("p99 ms", 1, |figures| figures.p99_ms),
    ("server µs", 1, |figures| figures.server_micros),
    ("PostgreSQL µs", 1, |figures| figures.postgres_micros),
    ("WAL B", 0, |figures| figures.wal_bytes),
    ("stored B", 0, |figures| figures.table_bytes + figures.index_bytes),
];

/// Takes the service's turns with both versions, each with a database that it migrated itself, on one PostgreSQL.
///
/// # Errors
/// There is no such program, it cannot be started, or one of the two does not answer 200.
pub async fn run(program: &Path, rounds: usize, seconds: u32, only: &str) -> Result<()> {
    let program = program.canonicalize().with_context(|| format!("no program at {}", program.display()))?;
    let server = Server::start();
    let this = Contender::hook(&database::create(&server).await);
    let other = Contender::hook_of(&program, &database::create(&server).await);
    season(&this.database).await?;
    let postmaster = postmaster(&server)?;
    let mut report = table(&["workload", "figure", "this", "other", "this / other", "least – most"]);
    // Half of the saturating load would be another load for each of them.
    let is_wanted = |turn: &&Turn| turn.who == Who::Hook && turn.workload != HALF && turn.workload.contains(only);
    for turn in TURNS.iter().filter(is_wanted) {
        eprintln!("{}", turn.workload);
        let pairs = in_turns([&this, &other], &turn.load, postmaster, rounds, seconds).await?;
        add(&mut report, turn.workload, &pairs);
    }
    println!("{report}");
    Ok(())
}

/// A line for each figure: both medians, and the median and the extremes of the rounds' ratios.
fn add(report: &mut Table, workload: &str, pairs: &[[Figures; 2]]) {
    for (name, digits, figure) in COMPARED {
        let of = |who: usize| median(pairs.iter().map(|pair| figure(&pair[who])).collect());
        let ratios = || pairs.iter().map(|[this, other]| figure(this) / figure(other));
        // Duplicates store nothing, and nothing has no ratio to nothing.
        let (ratio, span) = if ratios().all(f64::is_finite) {
            let [least, most] = [ratios().fold(f64::INFINITY, f64::min), ratios().fold(f64::NEG_INFINITY, f64::max)];
            (format!("{:.2}", median(ratios().collect())), format!("{least:.2} – {most:.2}"))
        } else {
            ("-".to_owned(), "-".to_owned())
        };
        report.add_row([
            workload.to_owned(),
            name.to_owned(),
            format!("{:.digits$}", of(0)),
            format!("{:.digits$}", of(1)),
            ratio,
            span,
        ]);
    }
}
