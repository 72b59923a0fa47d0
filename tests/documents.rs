//! Documents that cannot lie: what `docs/reference.md` says of keys, commands, responses, metrics and tables is what the
//! program has, no more and no less; the SQL of every document runs; every link leads somewhere.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use sobot_hook::clock;
use sqlx::{AssertSqlSafe, Executor};
use support::database::Database;
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, echo, envelope, event, message, read};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const README: &str = include_str!("../README.md");
const REFERENCE: &str = include_str!("../docs/reference.md");
const QUESTIONS: &str = include_str!("../docs/questions.md");

const HOUR: i64 = 3_600_000;

/// Every file below the directory whose name ends so, with its text. What is hidden, built or a service's is none.
fn files(directory: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let (mut directories, mut files) = (vec![Path::new(ROOT).join(directory)], Vec::new());
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_ours =
                !name.starts_with('.') && ["target", "data"].iter().all(|name| path != Path::new(ROOT).join(name));
            if path.is_dir() && is_ours {
                directories.push(path);
            } else if name.ends_with(ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

fn documents() -> Vec<(PathBuf, String)> {
    files("", ".md")
}

/// The cells of each row of the reference's table with this header.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, rows) = REFERENCE.split_once(&format!("\n{header}\n")).unwrap_or_else(|| panic!("no table {header}"));
    let rows = rows.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The blocks of SQL, also those within a list.
fn statements(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut statements = Vec::new();
    while lines.any(|line| line.trim() == "```sql") {
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        statements.push(block.collect::<Vec<_>>().join("\n"));
    }
    statements
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

/// What `--help` lists under this title: the first word of each line. Nothing if there is no such title.
fn help(arguments: &[&str], title: &str) -> BTreeSet<String> {
    let output = program().args(arguments).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, lines)) = help.split_once(&format!("\n{title}:\n")) else { return BTreeSet::new() };
    let lines = lines.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split([' ', ',']).find(|word| word.len() > 2)).map(str::to_owned).collect()
}

/// The words of a command, or of each command below it.
fn commands_of(command: &str) -> Vec<Vec<String>> {
    let below = help(&[command], "Commands");
    if below.is_empty() && command != "help" {
        return vec![vec![command.to_owned()]];
    }
    let below = below.into_iter().filter(|word| word != "help");
    below.map(|word| vec![command.to_owned(), word]).collect()
}

#[test]
fn every_command_is_listed_with_its_options() {
    let mut listed = BTreeMap::new();
    for row in table("| command | does |") {
        let words: Vec<&str> = code(row[0]).next().unwrap().split([' ', '[', ']']).collect();
        let options = words.iter().filter(|word| word.starts_with("--")).map(|option| (*option).to_owned());
        let is_name = |word: &&&str| !word.is_empty() && word.chars().all(|character| character.is_ascii_lowercase());
        let name: Vec<&str> = words.iter().skip(1).take_while(is_name).copied().collect();
        listed.insert(name.join(" "), options.collect::<BTreeSet<_>>());
    }
    let mut commands = BTreeMap::new();
    for command in help(&[], "Commands") {
        for words in commands_of(&command) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let options = help(&words, "Options").into_iter().filter(|option| option.starts_with("--"));
            let own = options.filter(|option| !["--config", "--help"].contains(&option.as_str())).collect();
            commands.insert(words.join(" "), own);
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
    let errors = files("src/http", "error.rs");
    let pairs = errors.iter().flat_map(|(_, source)| source.split("(StatusCode::").skip(1));
    let codes = pairs.map(|pair| {
        let (name, rest) = pair.split_once(", \"").unwrap();
        (rest.split('"').next().unwrap(), name.to_owned())
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), codes.collect());
}

/// The metrics that a service tells: name and type with labels, those that have a `HELP` line.
fn exposed(metrics: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let words = |line: &str, kind: &str| {
        let (name, rest) = line.strip_prefix(kind)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let helped: BTreeSet<String> =
        metrics.lines().filter_map(|line| words(line, "# HELP ")).map(|(name, _)| name).collect();
    let typed = metrics.lines().filter_map(|line| words(line, "# TYPE ")).filter(|(name, _)| helped.contains(name));
    let labels = |name: &str| {
        let samples =
            metrics.lines().filter_map(move |line| line.strip_prefix(name)?.split_once('{')?.1.split_once('}'));
        let labels = samples.flat_map(|(labels, _)| labels.split(',').filter_map(|label| label.split_once('=')));
        labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le").collect()
    };
    typed.map(|(name, kind)| (labels(&name), (name, kind))).map(|(labels, metric)| (metric, labels)).collect()
}

#[tokio::test]
async fn every_metric_is_listed_with_its_type_and_labels_and_described() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    assert_eq!(service.post(message("2", "1", "m", clock::now().timestamp_millis(), "x")).await.0, 200);
    until("all is measured", async || {
        let metrics = service.metrics().await;
        metrics.contains("page_last_event_age_seconds{") && metrics.contains("sobot_hook_quarantine_bytes ")
    })
    .await;
    let listed = table("| metric | type | labels | meaning |").into_iter().map(|row| {
        let metric = (code(row[0]).next().unwrap().to_owned(), row[1].to_owned());
        (metric, code(row[2]).map(str::to_owned).collect())
    });
    assert_eq!(listed.collect::<BTreeMap<_, BTreeSet<_>>>(), exposed(&service.metrics().await));
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
    let listed = REFERENCE.lines().filter(|line| line.starts_with("| `") && line.ends_with("` | what |"));
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
        optin("2", json!({ "notification_messages_timezone": "Asia/Shanghai", "notification_messages_token": "7" })),
        // Its token has ended.
        optin("4", json!({ "notification_messages_token": "8", "token_expiry_timestamp": now - HOUR })),
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

    // Among them the role for analysts, who can ask every question.
    let documents = documents();
    let others = documents.iter().filter(|(_, text)| text != README && text != QUESTIONS);
    for statement in others.flat_map(|(_, text)| statements(text)) {
        let run = database.pool.execute(AssertSqlSafe(statement.as_str())).await;
        run.unwrap_or_else(|error| panic!("{error} in\n{statement}"));
    }
    let mut analyst = database.pool.acquire().await.unwrap();
    analyst.execute("set role analyst").await.unwrap();
    assert!(analyst.fetch_all("select token from subscriptions").await.is_err());
    analyst.execute("select begins_at from journal_horizon").await.unwrap();
    for question in statements(QUESTIONS) {
        let rows = analyst.fetch_all(AssertSqlSafe(question.as_str())).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error} in\n{question}"));
        assert!(!rows.is_empty(), "no rows for\n{question}");
    }

    let mut uploader = database.pool.acquire().await.unwrap();
    uploader.execute("set role uploader").await.unwrap();
    // This side first, and second.
    for track_id in ["requested", "d13415bb2b704e58aa373bb5e0e11914"] {
        let request = format!("insert into uploads (track_id, page_id, type) values ('{track_id}', '1', 'image')");
        uploader.execute(AssertSqlSafe(request)).await.unwrap();
    }
    let matched = "select attachment_id from upload_status where track_id like 'd1341%' and status = 'matched'";
    assert_eq!(uploader.fetch_all(matched).await.unwrap().len(), 1);
}

/// The first statement below the heading of this question, or the next.
fn statement_of(question: &str, index: usize) -> String {
    let (_, rest) =
        QUESTIONS.split_once(&format!("\n## {question}\n")).unwrap_or_else(|| panic!("not asked: {question}"));
    let section = rest.split("\n## ").next().unwrap();
    statements(section).swap_remove(index)
}

/// What a question answers, each row as its values with spaces between.
async fn answer(database: &Database, statement: &str) -> Vec<String> {
    let rows = format!(
        "select coalesce(array_agg(
            (select string_agg(coalesce(value, '-'), ' ') from json_each_text(row_to_json(answer)))
         ), '{{}}') from ({}) as answer",
        statement.trim_end().trim_end_matches(';')
    );
    sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&database.pool).await.unwrap()
}

/// Noon in Shanghai, so many days ago.
fn noon(days_ago: i64) -> i64 {
    let now = clock::now().timestamp_millis() + 8 * HOUR;
    let day = 24 * HOUR;
    now - now.rem_euclid(day) - days_ago * day + 12 * HOUR - 8 * HOUR
}

fn day(days_ago: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(noon(days_ago)).unwrap();
    at.format("%Y-%m-%d").to_string()
}

async fn told(bodies: Vec<String>) -> Database {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    for body in bodies {
        assert_eq!(service.post(body).await.0, 200);
    }
    until("all is stored", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    database
}

#[tokio::test]
async fn response_times_are_those_of_whole_turns_and_of_all_questions() {
    let minutes = |minutes: i64| minutes * 60_000;
    let asks = |user: &str, mid: &str, at: i64| message(user, "1", mid, at, "?");
    let answers = |user: &str, mid: &str, at: i64| echo(user, "1", mid, at, "!");
    let database = told(vec![
        // A turn that began before the range: nobody asked anything within it.
        asks("early", "e1", noon(40)),
        asks("early", "e2", noon(20)),
        answers("early", "e3", noon(20) + minutes(30)),
        // Answered after 10 minutes, asked with the first of two messages; then again, after 20.
        asks("a", "a1", noon(20)),
        asks("a", "a2", noon(20) + minutes(9)),
        answers("a", "a3", noon(20) + minutes(10)),
        asks("a", "a4", noon(20) + minutes(60)),
        answers("a", "a5", noon(20) + minutes(80)),
        // Never answered: the third of that day's questions, and the only one of another day's.
        asks("b", "b1", noon(20)),
        asks("c", "c1", noon(5)),
        // What the page says of itself asks nothing and answers nobody.
        answers("d", "d1", noon(6)),
    ])
    .await;
    let question = statement_of("How long do customers wait for an answer, day by day?", 0);
    assert_eq!(
        answer(&database, &question).await,
        [format!("{} 3 2 00:20:00 -", day(20)), format!("{} 1 0 - -", day(5))]
    );
}

#[tokio::test]
async fn who_waits_now_has_written_since_the_last_answer() {
    let now = clock::now().timestamp_millis();
    let at = |hours: i64| now - hours * HOUR;
    let database = told(vec![
        message("waits", "1", "w1", at(50), "?"),
        echo("waits", "1", "w2", at(49), "!"),
        message("waits", "1", "w3", at(3), "?"),
        message("waits", "1", "w4", at(2), "??"),
        message("answered", "1", "a1", at(3), "?"),
        echo("answered", "1", "a2", at(1), "!"),
        // Only its delivery tells of the answer.
        message("delivered", "1", "d1", at(3), "?"),
        delivery("delivered", "1", at(1), &["d2"], at(1)),
        message("never", "1", "n1", at(30 * 24 + 10), "?"),
        message("never", "1", "n2", at(30), "?"),
        // Took back the only thing that they wrote.
        message("unsent", "1", "u1", at(3), "?"),
        envelope("1", &event("unsent", "1", at(2), &json!({ "message": { "mid": "u1", "is_deleted": true } }))),
        // Nothing for 30 days.
        message("long ago", "1", "l1", at(31 * 24), "?"),
    ])
    .await;
    let waiting = format!(
        "select user_id, messages, (extract(epoch from now() - waits_since) / 3600)::int as hours, window_closes_at > now()
         from ({}) as waiting order by waits_since",
        statement_of("Who waits for an answer now?", 0).trim_end_matches(';')
    );
    assert_eq!(answer(&database, &waiting).await, ["never 2 730 false", "waits 2 3 true"]);
}

#[tokio::test]
async fn whose_token_is_valid_can_be_asked() {
    let now = clock::now().timestamp_millis();
    let optin = |user: &str, what: serde_json::Value| {
        let mut optin = json!({ "type": "notification_messages", "title": "t", "notification_messages_token": "7" });
        optin.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        envelope("1", &event(user, "1", now - 3 * HOUR, &json!({ "optin": optin })))
    };
    let database = told(vec![
        optin("valid", json!({ "token_expiry_timestamp": now + HOUR })),
        optin("endless", json!({})),
        optin("expired", json!({ "token_expiry_timestamp": now - HOUR })),
        optin("stopped", json!({ "token_expiry_timestamp": now + HOUR, "notification_messages_status": "STOP" })),
    ])
    .await;
    let users = |index| {
        format!(
            "select user_id from ({}) as asked",
            statement_of("Whose token is still valid?", index).trim_end_matches(';')
        )
    };
    assert_eq!(answer(&database, &users(0)).await, ["valid", "endless"]);
    assert_eq!(answer(&database, &users(1)).await, ["expired"]);
}

#[tokio::test]
async fn the_first_event_of_the_readme_becomes_a_message() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let (_, command) = README.split_once("curl -i ").unwrap();
    let (_, body) = command.split_once("--data '").unwrap();
    let (body, _) = body.split_once('\'').unwrap();
    for _ in 0..2 {
        assert_eq!(service.post(body).await, (200, "EVENT_RECEIVED".to_owned()));
    }
    until("all is stored", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    let messages = "select string_agg(page_id || ' ' || mid || ' ' || status, ',') from message_status";
    assert_eq!(database.text(messages).await, "730000000000101 m_first received");
}

#[test]
fn the_readme_is_short_and_its_questions_are_those_of_the_analyst() {
    assert!(README.len() <= 10 * 1024, "{} bytes", README.len());
    let (questions, asked) = (statements(QUESTIONS), statements(README));
    assert_eq!(asked.len(), 3);
    for question in asked {
        assert!(questions.contains(&question), "not in docs/questions.md:\n{question}");
    }
}

/// The lines outside of code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
}

/// What links may name after `#`, as GitHub makes it from the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let is_kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
    let anchor = |line: &str| line.trim_matches(['#', ' ']).to_lowercase().chars().filter(is_kept).collect::<String>();
    let text = prose(text);
    text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line).replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut links = 0;
    for (document, text) in &documents {
        let text = prose(text);
        let targets = text.split("](").skip(1).map(|link| link.split(')').next().unwrap());
        for link in targets.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let target = target.canonicalize().unwrap_or_else(|_| panic!("{}: {link}", document.display()));
            assert!(target.starts_with(Path::new(ROOT).canonicalize().unwrap()), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let text = std::fs::read_to_string(target).unwrap();
                assert!(anchors(&text).contains(anchor), "{}: {link}", document.display());
            }
            links += 1;
        }
    }
    assert!(links > 50, "{links} links in {} documents", documents.len());
}
