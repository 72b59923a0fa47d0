//! The metrics and the alert rules of `docs/operating.md`, checked and tried with Prometheus's own `promtool`, where it is
//! installed (Debian: the package `prometheus`). What needs it says loudly that it was left out.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use support::database::Database;
use support::service::Service;
use support::until;
use support::wire::message;

const OPERATING: &str = include_str!("../docs/operating.md");
const CASES: &str = include_str!("data/alerts.yaml");

/// The rules as the document has them.
fn rules() -> &'static str {
    let (_, rules) = OPERATING.split_once("```yaml\n").unwrap();
    rules.split_once("```").unwrap().0
}

/// What stands after a word at the beginning of a line, such as `- alert: `.
fn values<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().strip_prefix(word))
}

/// Runs `promtool` in a directory and panics with what it says unless it is content.
fn promtool(arguments: &[&str], directory: &Path, input: &str) {
    let command = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = command else {
        return eprintln!("NOT TRIED: promtool {arguments:?}: it is not installed (apt-get install prometheus)");
    };
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn every_rule_is_sound_and_fires_when_it_should_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.yaml"), rules()).unwrap();
    std::fs::write(directory.path().join("cases.yaml"), CASES).unwrap();
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], directory.path(), "");
    promtool(&["test", "rules", "cases.yaml"], directory.path(), "");
}

#[test]
fn every_rule_has_a_severity_a_summary_a_case_and_a_place_to_read_on() {
    let (_, table) = OPERATING.split_once("| alert | read |\n").unwrap();
    let table = table.split("\n\n").next().unwrap();
    let mut alerts = BTreeSet::new();
    for rule in rules().split("- alert: ").skip(1) {
        let alert = rule.lines().next().unwrap();
        assert!(matches!(values(rule, "severity: ").next(), Some("critical" | "warning")), "{alert}");
        for annotation in ["summary: ", "description: "] {
            assert!(values(rule, annotation).any(|text| text.len() > 20), "{alert} {annotation}");
        }
        assert!(table.contains(&format!("`{alert}`")), "{alert} in the table");
        assert!(
            CASES.contains(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")),
            "{alert} in the cases"
        );
        alerts.insert(alert);
    }
    assert!(alerts.len() > 5, "{alerts:?}");
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    assert_eq!(service.post(message("2", "1", "m", 1_760_000_000_000, "x")).await.0, 200);
    // Histograms appear with what they count.
    until("it is stored", async || service.metrics().await.contains("sobot_hook_commit_seconds_count")).await;
    let metrics = service.metrics().await;
    promtool(&["check", "metrics"], Path::new("."), &metrics);
    // A statement is given up after two seconds: the buckets tell just below from just above.
    for bucket in ["1.5", "2", "2.5"] {
        assert!(metrics.contains(&format!("sobot_hook_commit_seconds_bucket{{le=\"{bucket}\"}}")), "{metrics}");
    }
    assert!(metrics.contains(concat!("sobot_hook_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n")));
    assert_eq!(service.metric("sobot_hook_spool_max_bytes").await, 1_073_741_824);
}
