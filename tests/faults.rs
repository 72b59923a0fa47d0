//! One bad thing costs only itself: held locks, frozen sockets, raising triggers, a server that is of no use. Whatever it
//! is, posts are acknowledged, what can be stored is stored, and the rest when the fault is over.

mod support;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use support::database::{Database, Server, connect, count, create};
use support::proxy::Proxy;
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, message};
use tempfile::TempDir;

const AT: i64 = 1_760_000_000_000;

/// The lock under which functions are installed (`src/store/functions.rs`).
const INSTALL_LOCK: i64 = 0x0066_756e_6374;

/// Starts a service without waiting for PostgreSQL.
fn launch(url: &str, directory: &TempDir) -> Service {
    let mut command = program();
    command
        .arg("serve")
        .env("DATABASE_URL", url)
        .env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path())
        .env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__WEBHOOK__SECRETS", support::service::SECRET)
        .env("SOBOT_HOOK__LOG__FORMAT", "json");
    Service::launch(command)
}

async fn readiness(service: &Service) -> Value {
    serde_json::from_str(&service.get("/readyz").await.1).unwrap()
}

async fn until_database_is(service: &Service, state: &str) {
    until(&format!("the database is {state}"), async || readiness(service).await["database"] == state).await;
}

async fn until_drained(service: &Service) {
    until("the spool is drained", async || readiness(service).await["spool"]["entries"] == 0).await;
}

async fn post(service: &Service, mid: &str) {
    assert_eq!(service.post(message("2", "1", mid, AT, mid)).await.0, 200, "{mid}");
}

async fn messages(database: &Database) -> String {
    database.text("select string_agg(mid, ' ' order by mid) from messages").await
}

#[tokio::test]
async fn a_service_takes_posts_while_another_process_migrates() {
    let database = Database::create().await;
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    sqlx::query("select pg_advisory_lock($1)").bind(INSTALL_LOCK).execute(&mut other).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let service = launch(&database.url, &directory);
    post(&service, "early").await;
    assert_eq!(service.get("/healthz").await.0, 200);
    until_database_is(&service, "migrating").await;
    post(&service, "still").await;
    other.close().await.unwrap();
    until_database_is(&service, "ok").await;
    until_drained(&service).await;
    assert_eq!(messages(&database).await, "early still");
}

#[tokio::test]
async fn a_frozen_connection_is_given_up_whichever_it_is() {
    let server = Server::start();
    let url = create(&server).await;
    let proxy = Proxy::start(&server.socket()).await;
    let through = format!(
        "postgres://sobot_hook@127.0.0.1:{}/{}",
        proxy.port,
        url.split('/').nth(3).unwrap().split('?').next().unwrap()
    );
    let directory = tempfile::tempdir().unwrap();
    let service = launch(&through, &directory);
    until_database_is(&service, "ok").await;
    // The first one, the second one, … of those that the way back to PostgreSQL takes.
    for passing in 0..4 {
        proxy.cut();
        until_database_is(&service, "away").await;
        proxy.freeze_after(passing);
        proxy.mend();
        post(&service, &format!("frozen-{passing}")).await;
        proxy.thaw();
        until_database_is(&service, "ok").await;
        until_drained(&service).await;
    }
    let pool = connect(&url);
    assert_eq!(count(&pool, "select count(*) from messages").await, 4);
    pool.close().await;
}

/// Whatever PostgreSQL answers to rows of `messages` for which this holds, it is none of the codes that tell of bad data.
async fn raise_if(database: &Database, condition: &str) {
    let trigger = format!(
        "create function raise() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger raise before insert on messages for each row when ({condition}) execute function raise()"
    );
    database.pool.execute(AssertSqlSafe(trigger)).await.unwrap();
}

#[tokio::test]
async fn an_event_at_which_a_trigger_raises_costs_only_itself() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    raise_if(&database, "new.text = 'poison'").await;
    post(&service, "before").await;
    post(&service, "poison").await;
    post(&service, "after").await;
    assert_eq!(readiness(&service).await["database"], "ok");
    until_drained(&service).await;
    assert_eq!(messages(&database).await, "after before");
    assert_eq!(database.count("select count(*) from quarantine where reason like '%refused%'").await, 1);
}

#[tokio::test]
async fn what_postgresql_refuses_at_the_head_of_the_spool_holds_nothing_up() {
    let mut server = Server::start();
    let url = create(&server).await;
    let directory = tempfile::tempdir().unwrap();
    let service = launch(&url, &directory);
    until_database_is(&service, "ok").await;
    let pool = connect(&url);
    let raise = "create function raise() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger raise before insert on messages for each row when (new.text = 'poison') execute function raise()";
    pool.execute(raise).await.unwrap();
    pool.close().await;
    server.stop();
    for mid in ["poison", "a", "b"] {
        post(&service, mid).await;
    }
    server.resume();
    until_drained(&service).await;
    let pool = connect(&url);
    assert_eq!(count(&pool, "select count(*) from messages where mid in ('a', 'b')").await, 2);
    assert_eq!(count(&pool, "select count(*) from quarantine").await, 1);
    pool.close().await;
}

#[tokio::test]
async fn a_kind_that_the_server_refuses_waits_while_the_others_are_stored() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    raise_if(&database, "new.source = 0").await;
    post(&service, "waits").await;
    assert_eq!(service.post(delivery("2", "1", AT + 1, &["delivered"], AT)).await.0, 200);
    until("the delivery is stored", async || messages(&database).await == "delivered").await;
    assert_eq!(readiness(&service).await["spool"]["entries"], 1);
    assert_eq!(database.count("select count(*) from quarantine").await, 0);
    database.pool.execute("drop function raise cascade").await.unwrap();
    until_drained(&service).await;
    assert_eq!(messages(&database).await, "delivered waits");
}

#[tokio::test]
async fn callers_do_not_wait_until_every_refused_event_has_been_found() {
    let database = Database::create().await;
    let service = Service::start_with(&database.url, &[("SOBOT_HOOK__HTTP__REQUEST_TIMEOUT_MS", "20000")]);
    // To refuse one takes its time: all of them together take many times what a request has.
    post(&service, "before").await;
    let trigger = "create function raise() returns trigger language plpgsql as
             $$ begin perform pg_sleep(0.5); raise 'no'; end $$;
         create trigger raise before insert on messages for each row when (new.text = 'poison') execute function raise()";
    database.pool.execute(trigger).await.unwrap();
    let posts = (0..400).map(|number| {
        let (user, mid) = (format!("user-{number}"), format!("m{number:03}"));
        let text = if number % 2 == 0 { "poison" } else { "good" };
        service.post(message(&user, "1", &mid, AT, text))
    });
    let answers = futures::future::join_all(posts).await;
    let refused = answers.iter().filter(|(status, _)| *status != 200).count();
    assert_eq!(refused, 0, "{}", service.log());
    database.pool.execute("drop function raise cascade").await.unwrap();
    until_drained(&service).await;
    let kept = "select (select count(*) from messages) + (select count(*) from quarantine)";
    until("all is kept", async || database.count(kept).await == 401).await;
}

#[tokio::test]
async fn an_event_of_a_month_that_others_hold_waits_for_them_alone() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    post(&service, "made").await;
    let mut archivist = PgConnection::connect(&database.url).await.unwrap();
    archivist.execute("alter table events detach partition events_2025_10").await.unwrap();
    let mut reading = archivist.begin().await.unwrap();
    reading.execute("lock table events_2025_10 in access share mode").await.unwrap();
    // A new session does not know the month.
    let directory = tempfile::tempdir().unwrap();
    let second = launch(&database.url, &directory);
    until_database_is(&second, "ok").await;
    post(&second, "late").await;
    assert_eq!(second.post(message("2", "1", "other-month", AT + 40 * 86_400_000, "x")).await.0, 200);
    until("the other month is stored", async || messages(&database).await.contains("other-month")).await;
    reading.commit().await.unwrap();
    until_drained(&second).await;
    until("all is stored", async || messages(&database).await == "late made other-month").await;
    assert_eq!(database.count("select count(*) from quarantine").await, 0);
}

#[tokio::test]
async fn a_server_that_is_of_no_use_says_what_to_do() {
    let database = Database::create().await;
    let statements = "
        create database ascii encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C';
        create role reader login;
        revoke create on schema public from public";
    for statement in statements.split(';') {
        database.pool.execute(statement).await.unwrap();
    }
    let ascii = database.url.replace(database.url.split('/').nth(3).unwrap().split('?').next().unwrap(), "ascii");
    let reader = database.url.replace("//sobot_hook@", "//reader@");
    for (url, advice) in [(ascii, "--encoding=UTF8"), (reader, "sobot-hook migrate")] {
        let directory = tempfile::tempdir().unwrap();
        let service = launch(&url, &directory);
        until_database_is(&service, "unusable").await;
        assert!(readiness(&service).await["advice"].as_str().unwrap().contains(advice), "{}", service.log());
        post(&service, "kept").await;
        assert_eq!(readiness(&service).await["spool"]["entries"], 1);
    }
}

#[tokio::test]
async fn a_private_server_that_cannot_start_is_postgresql_being_away() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = program();
    command
        .arg("serve")
        .env("SOBOT_HOOK_PG_BIN", directory.path())
        .env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path().join("data"))
        .env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__WEBHOOK__SECRETS", support::service::SECRET)
        .env("SOBOT_HOOK__LOG__FORMAT", "json");
    let mut service = Service::launch(command);
    until_database_is(&service, "unusable").await;
    post(&service, "kept").await;
    let readiness = readiness(&service).await;
    assert!(readiness["advice"].as_str().unwrap().contains("does not start"), "{readiness}");
    assert_eq!(readiness["spool"]["entries"], 1);
    // Why is for the operator; anyone may read the readiness.
    assert!(service.log().contains("SOBOT_HOOK_PG_BIN is"), "{}", service.log());
    assert!(!readiness.to_string().contains('/'), "{readiness}");
    assert_eq!(service.terminate().await.code(), Some(0));
}
