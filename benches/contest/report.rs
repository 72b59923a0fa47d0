//! Medians over the rounds, and the ratios that the project has set itself as goals.

use std::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::plan::{
    DUPLICATES, HALF, ONE_BY_1, ONE_BY_64, ONE_BY_256, RECEIPTS_HOT, RECEIPTS_SPREAD, TWENTY_BY_64, Turn, Who,
};
use crate::usage::Usage;

/// What came of one turn, an event each but for times and memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub events_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub server_micros: f64,
    pub postgres_micros: f64,
    pub wal_bytes: f64,
    pub table_bytes: f64,
    pub index_bytes: f64,
    pub peak_mebibytes: f64,
}

impl Figures {
    pub fn of(used: Usage, events: f64) -> Self {
        Self {
            server_micros: used.server_seconds * 1e6 / events,
            postgres_micros: used.postgres_seconds * 1e6 / events,
            wal_bytes: used.wal_bytes / events,
            table_bytes: used.table_bytes / events,
            index_bytes: used.index_bytes / events,
            ..Self::default()
        }
    }

    /// Of the server and of PostgreSQL together.
    pub fn cpu_micros(&self) -> f64 {
        self.server_micros + self.postgres_micros
    }
}

/// All turns so far.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they first came.
    turns: Vec<(&'static str, Who)>,
    rounds: BTreeMap<usize, Vec<Figures>>,
}

impl Report {
    pub fn add(&mut self, turn: &Turn, figures: Figures) {
        let name = (turn.workload, turn.who);
        let index = self.turns.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.turns.push(name);
            self.turns.len() - 1
        });
        self.rounds.entry(index).or_default().push(figures);
    }

    fn rounds(&self, workload: &str, who: Who) -> &[Figures] {
        let index = self.turns.iter().position(|known| *known == (workload, who));
        index.and_then(|index| self.rounds.get(&index)).map_or(&[], Vec::as_slice)
    }

    /// Of the last round.
    pub fn latest(&self, workload: &str, who: Who) -> Option<&Figures> {
        self.rounds(workload, who).last()
    }

    /// As two tables.
    pub fn print(&self) {
        println!("{}\n\n{}", self.medians(), self.goals());
    }

    fn medians(&self) -> Table {
        let mut table = table(&[
            "workload",
            "contender",
            "events/s",
            "p50 ms",
            "p99 ms",
            "server µs",
            "PostgreSQL µs",
            "WAL B",
            "table B",
            "index B",
            "peak MiB",
        ]);
        for (workload, who) in &self.turns {
            let rounds = self.rounds(workload, *who);
            let number = |figure: fn(&Figures) -> f64, digits: usize| {
                let value = median(rounds.iter().map(figure).collect());
                if value > 0.0 { format!("{value:.digits$}") } else { "-".to_owned() }
            };
            table.add_row([
                (*workload).to_owned(),
                who.name().to_owned(),
                number(|figures| figures.events_per_second, 0),
                number(|figures| figures.p50_ms, 1),
                number(|figures| figures.p99_ms, 1),
                number(|figures| figures.server_micros, 1),
                number(|figures| figures.postgres_micros, 1),
                number(|figures| figures.wal_bytes, 0),
                number(|figures| figures.table_bytes, 0),
                number(|figures| figures.index_bytes, 0),
                number(|figures| figures.peak_mebibytes, 0),
            ]);
        }
        table
    }

    fn goals(&self) -> Table {
        let mut table = table(&["goal (median of the rounds' ratios)", "wanted", "measured"]);
        let speed = |figures: &Figures| figures.events_per_second;
        let hook = |workload| self.rounds(workload, Who::Hook);
        let mut add = |goal: &str, wanted: &str, measured: Option<f64>| {
            let measured = measured.map_or("-".to_owned(), |value| format!("{value:.2}"));
            table.add_row([goal, wanted, &measured]);
        };
        let ratio = |one: &[Figures], other: &[Figures], figure: fn(&Figures) -> f64| {
            let ratios: Vec<f64> = one.iter().zip(other).map(|(one, other)| figure(one) / figure(other)).collect();
            (!ratios.is_empty()).then(|| median(ratios))
        };
        let naive = |workload| ratio(hook(workload), self.rounds(workload, Who::Naive), speed);
        add("events/s against naive, one a post, 64 connections", "at least 6", naive(ONE_BY_64));
        add("events/s against naive, twenty a post", "at least 9", naive(TWENTY_BY_64));
        let copied = self.rounds(ONE_BY_64, Who::InServer);
        for workload in [ONE_BY_64, ONE_BY_256, TWENTY_BY_64] {
            let cpu = ratio(hook(workload), copied, Figures::cpu_micros);
            add(&format!("CPU an event against insert … select: {workload}"), "at most 2", cpu);
        }
        let half: Vec<f64> =
            hook(HALF).iter().zip(hook(ONE_BY_1)).map(|(half, one)| half.p99_ms - one.p50_ms).collect();
        add("p99 at half load beyond one commit, ms", "at most 15", (!half.is_empty()).then(|| median(half)));
        add("duplicates against fresh events", "at least 1", ratio(hook(DUPLICATES), hook(ONE_BY_64), speed));
        add(
            "hot against spread conversations",
            "at least 0.8",
            ratio(hook(RECEIPTS_HOT), hook(RECEIPTS_SPREAD), speed),
        );
        let peak = self.turns.iter().flat_map(|(workload, _)| hook(workload)).map(|figures| figures.peak_mebibytes);
        add("peak RSS, MiB (highest of all rounds)", "at most 64", peak.reduce(f64::max));
        table
    }
}

/// An empty Markdown table whose numbers stand to the right.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The middle one; of an even number the lower of both.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
