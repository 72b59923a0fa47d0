//! A real `PgBouncer` before a real PostgreSQL.

mod support;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, Row};
use support::database::{Server, connect, count, create, text};
use support::pooler::Pooler;
use support::service::{Service, program};
use support::until;
use support::wire::message;

const AT: i64 = 1_760_000_000_000;
const ADVICE: &str = "connect directly, or in session mode (PgBouncer: pool_mode = session)";

/// A server with an empty database, and a pooler before it.
struct Pooled {
    server: Server,
    database: String,
    pooler: Pooler,
}

impl Pooled {
    async fn start(settings: &str) -> Option<Self> {
        let server = Server::start();
        let database = text(&connect(&create(&server).await), "select current_database()::text").await;
        let pooler = Pooler::start(&server.socket(), settings).await?;
        Some(Self { server, database, pooler })
    }

    fn url(&self) -> String {
        self.pooler.url(&self.database)
    }

    fn direct_url(&self) -> String {
        self.server.url(&self.database)
    }

    async fn stranger(&self) -> PgConnection {
        let options = self.url().parse::<PgConnectOptions>().unwrap().extra_float_digits(None);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// What a stranger finds in every session that the pooler keeps: each of their own.
    async fn assert_clean(&self) {
        let direct = connect(&self.direct_url());
        let kept =
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        let kept = count(&direct, kept).await;
        assert!(kept > 0, "the pooler keeps sessions");
        let mut strangers = Vec::new();
        for _ in 0..kept {
            let mut stranger = self.stranger().await;
            // It holds its session while the others look at theirs.
            stranger.execute("begin").await.unwrap();
            let found = "
                select current_setting('statement_timeout') as timeout,
                    (select count(*) from pg_prepared_statements) as statements,
                    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks";
            let found = stranger.fetch_one(found).await.unwrap();
            let found: (String, i64, i64) = (found.get(0), found.get(1), found.get(2));
            assert_eq!(found, ("0".to_owned(), 0, 0));
            strangers.push(stranger);
        }
    }
}

fn run(arguments: &[&str], url: &str) -> (Option<i32>, String) {
    let output = program().args(arguments).env("DATABASE_URL", url).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[tokio::test]
async fn through_a_pooler_in_session_mode_everything_works_and_nothing_is_left_behind() {
    let Some(pooled) = Pooled::start("pool_mode = session").await else { return };
    let mut service = Service::start(&pooled.url());
    for number in 0..50 {
        let body = message("2", "1", &format!("m-{number}"), AT + number, "x");
        assert_eq!(service.post(body).await.0, 200);
    }
    assert_eq!(service.post(r#"{"track_id":"t","attachment_id":7}"#).await.0, 200);
    assert_eq!(service.post("no JSON").await.0, 400);
    let direct = connect(&pooled.direct_url());
    assert_eq!(count(&direct, "select count(*) from events").await, 51, "{}", service.log());
    let (_, ready) = service.get("/readyz").await;
    assert!(ready.contains(r#""database":"ok""#) && ready.contains(r#""migrations":"ok""#), "{ready}");
    for command in [&["migrate"][..], &["rebuild", "--check"], &["rebuild"], &["replay"]] {
        assert_eq!(run(command, &pooled.url()).0, Some(0), "{command:?}");
    }
    assert_eq!(service.terminate().await.code(), Some(0));
    pooled.assert_clean().await;
}

#[tokio::test]
async fn before_a_pooler_in_transaction_mode_one_line_says_what_to_do_and_nothing_is_left_behind() {
    let Some(pooled) = Pooled::start("pool_mode = transaction").await else { return };
    for command in [&["migrate"][..], &["rebuild", "--check"], &["replay"]] {
        let (code, said) = run(command, &pooled.url());
        assert_eq!((code, said.lines().count(), said.contains(ADVICE)), (Some(1), 1, true), "{command:?}: {said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let data_dir = [("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path().to_str().unwrap())];
    let mut service = Service::start_with(&pooled.url(), &data_dir);
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
    until("it says so", async || service.log().contains(ADVICE)).await;
    pooled.assert_clean().await;
    let (status, ready) = service.get("/readyz").await;
    assert!(status == 200 && ready.contains(r#""database":"unusable""#) && ready.contains(ADVICE), "{ready}");

    let told = service.log();
    assert!(told.lines().filter(|line| line.contains(ADVICE)).count() <= 2, "once a reader: {told}");

    // The way that it asks for, on the same directory: what came is stored.
    assert_eq!(service.terminate().await.code(), Some(0));
    let service = Service::start_with(&pooled.direct_url(), &data_dir);
    until("the spool is empty", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert_eq!(count(&connect(&pooled.direct_url()), "select count(*) from events").await, 1);
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_in_another_way_is_found_too() {
    let Some(pooled) = Pooled::start("pool_mode = statement").await else { return };
    let (_, said) = run(&["migrate"], &pooled.url());
    assert!(said.contains(ADVICE), "{said}");

    // Each statement gets the session that has been idle for longest, of as many as there are connections that look.
    let Some(pooled) = Pooled::start("pool_mode = transaction\nserver_round_robin = 1").await else { return };
    let mut strangers = [pooled.stranger().await, pooled.stranger().await, pooled.stranger().await];
    for statement in ["begin", "commit"] {
        for stranger in &mut strangers {
            stranger.execute(statement).await.unwrap();
        }
    }
    let (_, said) = run(&["migrate"], &pooled.url());
    assert!(said.contains(ADVICE), "{said}");
}

#[tokio::test]
async fn a_pooler_that_begins_to_share_sessions_is_found_before_anything_is_left_behind() {
    let Some(mut pooled) = Pooled::start("pool_mode = session").await else { return };
    let service = Service::start(&pooled.url());
    until("it stores", async || service.get("/readyz").await.1.contains(r#""database":"ok""#)).await;
    // No event comes that could find it out.
    pooled.pooler.restart("pool_mode = transaction").await;
    until("it says so", async || service.get("/readyz").await.1.contains(ADVICE)).await;
    pooled.assert_clean().await;
}
