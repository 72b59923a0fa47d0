//! Documents that cannot lie: what `README.md` says of keys, commands, responses, metrics and tables is what the
//! program has, no more and no less, and its SQL runs.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use sobot_hook::clock;
use sqlx::{AssertSqlSafe, Executor};
use support::database::Database;
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, echo, envelope, event, message, read};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const README: &str = include_str!("../README.md");

const HOUR: i64 = 3_600_000;

/// The cells of each row of the table with this header.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, rows) = README.split_once(&format!("\n{header}\n")).unwrap_or_else(|| panic!("no table {header}"));
    let rows = rows.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The blocks of SQL.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```sql\n").skip(1).map(|block| block.split("\n```").next().unwrap())
}

#[test]
fn every_configuration_key_is_listed_with_its_default() {
    let defaults: toml::Table = include_str!("../config.toml").parse().unwrap();
    let keys = defaults.iter().flat_map(|(section, members)| {
        let members = members.as_table().unwrap().iter();
        members.map(move |(name, default)| (format!("{section}.{name}"), default.to_string()))
    });
    let listed = table("| key | default | meaning |").into_iter().map(|row| {
        let cell = |index: usize| code(row[index]).next().unwrap().to_owned();
        (cell(0), cell(1))
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), keys.collect());
}

/// What `--help` lists under this title: the first word of each line.
fn help(arguments: &[&str], title: &str) -> BTreeSet<String> {
    let output = program().args(arguments).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, lines) = help.split_once(&format!("{title}:\n")).unwrap();
    let lines = lines.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split([' ', ',']).find(|word| word.len() > 2)).map(str::to_owned).collect()
}

#[test]
fn every_command_is_listed_with_its_options() {
    let mut listed = BTreeMap::new();
    for row in table("| command | does |") {
        let words: Vec<&str> = code(row[0]).next().unwrap().split([' ', '[', ']']).collect();
        let options = words.iter().filter(|word| word.starts_with("--")).map(|option| (*option).to_owned());
        listed.insert(words[1].to_owned(), options.collect::<BTreeSet<_>>());
    }
    let mut commands = BTreeMap::new();
    for command in help(&[], "Commands") {
        if command != "help" {
            let options = help(&[&command], "Options").into_iter().filter(|option| option.starts_with("--"));
            let own = options.filter(|option| !["--config", "--help"].contains(&option.as_str())).collect();
            commands.insert(command, own);
        }
    }
    assert_eq!(listed, commands);
}

#[test]
fn every_response_is_listed_with_its_status() {
    let listed = table("| status | `code` | when | what is kept |").into_iter().map(|row| {
        let status: u16 = row[0].parse().unwrap();
        let name = reqwest::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
        (code(row[1]).next().unwrap(), name.to_uppercase().replace(' ', "_"))
    });
    // (StatusCode::NOT_FOUND, "not_found")
    let doors = std::fs::read_dir(format!("{ROOT}/src/http")).unwrap();
    let errors = doors.map(|door| door.unwrap().path().join("error.rs")).filter(|file| file.exists());
    let errors: String = errors.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let codes = errors.split("(StatusCode::").skip(1).map(|pair| {
        let (name, rest) = pair.split_once(", \"").unwrap();
        (rest.split('"').next().unwrap(), name.to_owned())
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), codes.collect());
}

#[test]
fn every_metric_is_listed_with_its_type_and_labels() {
    let listed = table("| metric | type | labels | meaning |").into_iter().map(|row| {
        let name = code(row[0]).next().unwrap();
        ((name, row[1]), code(row[2]).collect::<Vec<_>>())
    });
    let source = include_str!("../src/telemetry/metrics.rs");
    // counter!("name", "label" => value)
    let mut recorded = BTreeMap::new();
    for kind in ["counter", "gauge", "histogram"] {
        for call in source.split(&format!("{kind}!(\"")).skip(1) {
            let mut texts = call.split(';').next().unwrap().split('"').step_by(2);
            recorded.insert((texts.next().unwrap(), kind), texts.collect::<Vec<_>>());
        }
    }
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), recorded);
}

#[tokio::test]
async fn every_table_and_view_is_listed_with_its_key_or_columns() {
    let (database, _store) = Database::migrated().await;
    // Partitions are parts of `events`.
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, string_agg(attname, ', ' order by place)
         from pg_class
         join pg_index on indrelid = pg_class.oid and indisprimary,
             unnest(indkey) with ordinality as key (number, place)
         join pg_attribute on attnum = key.number
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
           and attrelid = indrelid
         group by relname",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let listed = table("| table | key | what |").into_iter().map(|row| {
        let cell = |index: usize| code(row[index]).next().unwrap().to_owned();
        (cell(0), cell(1))
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), tables.into_iter().collect());

    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'public' order by 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let headers = views.iter().map(|view| (view.as_str(), format!("| `{view}` | what |")));
    for (relation, header) in headers.chain([("events", "| column of `events` | what |".to_owned())]) {
        let columns: Vec<String> =
            sqlx::query_scalar("select column_name::text from information_schema.columns where table_name = $1")
                .bind(relation)
                .fetch_all(&database.pool)
                .await
                .unwrap();
        let listed: BTreeSet<&str> = table(&header).into_iter().flat_map(|row| code(row[0])).collect();
        assert_eq!(listed, columns.iter().map(String::as_str).collect(), "{relation}");
    }
    // A view that is listed exists: no other table has such a header.
    let listed = README.lines().filter(|line| line.starts_with("| `") && line.ends_with("` | what |"));
    assert_eq!(listed.count(), views.len());
}

/// A story to which every question has an answer.
fn story(now: i64) -> Vec<String> {
    let optin = |user: &str, what: serde_json::Value| {
        let mut optin = json!({ "type": "notification_messages", "title": "新品上架" });
        optin.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        envelope("1", &event(user, "1", now - 3 * HOUR, &json!({ "optin": optin })))
    };
    vec![
        // Asked, answered and read; the window closes within two hours.
        message("2", "1", "question", now - 23 * HOUR, "?"),
        echo("2", "1", "answer", now - 22 * HOUR, "!"),
        read("2", "1", now - 21 * HOUR, now - 22 * HOUR),
        // Never answered.
        message("3", "1", "unanswered", now - 48 * HOUR, "?"),
        // Delivered, not read.
        echo("4", "1", "unread", now - 48 * HOUR, "!"),
        delivery("4", "1", now - 47 * HOUR, &["unread"], now - 48 * HOUR),
        optin("2", json!({ "notification_messages_timezone": "Asia/Shanghai" })),
        optin("3", json!({ "notification_messages_status": "STOP_NOTIFICATIONS" })),
        json!({ "track_id": "d13415bb2b704e58aa373bb5e0e11914", "attachment_id": "7" }).to_string(),
        // Not understood: an unknown event, and a message without a mid.
        envelope("1", &event("2", "1", now - 60_000, &json!({ "brand_new_event": {} }))),
        envelope("1", &event("2", "1", now - 24 * HOUR, &json!({ "message": { "text": "?" } }))),
        "no JSON".to_owned(),
    ]
}

#[tokio::test]
async fn every_statement_runs_and_every_question_has_an_answer() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    for body in story(clock::now().timestamp_millis()) {
        service.post(body).await;
    }
    // On a busy machine PostgreSQL may have been slow.
    until("all is stored", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    let pending = "insert into uploads (track_id, requested_at) values ('never', now() - interval '2 hours')";
    database.pool.execute(pending).await.unwrap();

    let (before, rest) = README.split_once("\n## Questions\n").unwrap();
    let (questions, after) = rest.split_once("\n## Operating\n").unwrap();
    // Among them the role for analysts, who can ask every question.
    for statement in statements(before).chain(statements(after)) {
        let run = database.pool.execute(AssertSqlSafe(statement)).await;
        run.unwrap_or_else(|error| panic!("{error} in\n{statement}"));
    }
    let mut analyst = database.pool.acquire().await.unwrap();
    analyst.execute("set role analyst").await.unwrap();
    assert!(analyst.fetch_all("select token from subscriptions").await.is_err());
    for question in statements(questions) {
        let rows = analyst.fetch_all(AssertSqlSafe(question)).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error} in\n{question}"));
        assert!(!rows.is_empty(), "no rows for\n{question}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "PERFORMANCE.md"] {
        let text = std::fs::read_to_string(format!("{ROOT}/{name}")).unwrap();
        let headings = text.lines().filter(|line| line.starts_with("##"));
        let is_kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
        let anchor =
            |line: &str| line.trim_matches(['#', ' ']).to_lowercase().chars().filter(is_kept).collect::<String>();
        let anchors: Vec<String> = headings.map(|line| anchor(line).replace(' ', "-")).collect();
        for link in text.split("](").skip(1).map(|link| link.split(')').next().unwrap()) {
            match link.strip_prefix('#') {
                Some(anchor) => assert!(anchors.iter().any(|known| known == anchor), "{name}: {link}"),
                None => assert!(Path::new(ROOT).join(link).exists(), "{name}: {link}"),
            }
        }
    }
}
