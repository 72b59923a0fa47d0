//! What others have set on the server, for the role or for the database: it may not cost a promise.

mod support;

use sqlx::{AssertSqlSafe, Executor, PgPool};
use support::database::{self, Database, STATE, Server};
use support::service::{Service, program};
use support::wire::{delivery, echo, message};

const AT: i64 = 1_760_000_000_000;

/// Notes with each batch what `synchronous_commit` is in the session that stores it.
const WITNESS: &str = "
    create table witness (setting text);
    create function note_setting() returns trigger language plpgsql as $$
    begin
        insert into witness select current_setting('synchronous_commit');
        return null;
    end
    $$;
    create trigger witness after insert on events for each statement execute function note_setting()";

async fn witnessed(pool: &PgPool) -> String {
    database::text(pool, "select string_agg(distinct setting, ',') from witness").await
}

#[tokio::test]
async fn what_was_acknowledged_is_on_disk_though_synchronous_commit_is_off() {
    let mut server = Server::start();
    let admin = database::connect(&server.url("postgres"));
    // Nobody flushes for us: not the log's own process, for as long as the test takes.
    admin.execute("alter system set wal_writer_delay = '10s'").await.unwrap();
    admin.execute("alter system set wal_writer_flush_after = '1GB'").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    for set in ["alter role current_user set", "alter database {} set"] {
        let url = database::create(&server).await;
        let pool = database::connect(&url);
        let set = set.replace("{}", &database::text(&pool, "select current_database()").await);
        pool.execute(AssertSqlSafe(format!("{set} synchronous_commit = off"))).await.unwrap();
        let service = Service::start(&url);
        pool.execute(WITNESS).await.unwrap();
        for event in 0..20 {
            assert_eq!(service.post(message("2", "1", &format!("m{event}"), AT + event, "x")).await.0, 200);
        }
        let setting = witnessed(&pool).await;
        pool.close().await;
        server.crash();
        drop(service);
        server.resume();
        let pool = database::connect(&url);
        let kept = database::count(&pool, "select count(*) from events").await;
        assert_eq!((kept, setting.as_str()), (20, "local"), "{set}");
        pool.execute("alter role current_user reset synchronous_commit").await.unwrap();
    }
}

#[tokio::test]
async fn a_stronger_synchronous_commit_stays() {
    let database = Database::create().await;
    let name = database.text("select current_database()").await;
    let set = format!("alter database {name} set synchronous_commit = remote_apply");
    database.pool.execute(AssertSqlSafe(set)).await.unwrap();
    let service = Service::start(&database.url);
    database.pool.execute(WITNESS).await.unwrap();
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
    assert_eq!(witnessed(&database.pool).await, "remote_apply");
}

/// Ids whose order, or whose equality, depends on the locale.
fn bodies() -> Vec<String> {
    let users = ["a", "A", "ä", "z", "Z", "ß", "ss", "10", "9", "a-b", "ab"];
    let messages = users.iter().zip(AT..).flat_map(|(user, at)| {
        [
            message(user, "1", &format!("m_{user}"), at, "x"),
            echo(user, "1", &format!("e_{user}"), at + 10, "y"),
            delivery(user, "1", at + 20, &[&format!("e_{user}")], at + 15),
        ]
    });
    messages.collect()
}

#[tokio::test]
async fn in_a_database_of_another_locale_ids_are_bytes_all_the_same() {
    let usual = Database::create().await;
    let german =
        Database::create_with("template template0 encoding 'UTF8' locale_provider icu icu_locale 'de' locale 'C'")
            .await;
    assert_eq!(german.count("select ('a' < 'B')::int::bigint").await, 1, "not the C locale");
    let mut states = Vec::new();
    for database in [&usual, &german] {
        let service = Service::start(&database.url);
        for body in bodies() {
            assert_eq!(service.post(body).await.0, 200);
        }
        let mut check = program();
        check.args(["rebuild", "--check"]).env("DATABASE_URL", &database.url);
        let check = tokio::task::spawn_blocking(move || check.output().unwrap()).await.unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        let state = database.text(STATE).await;
        let mut rows: Vec<String> = state.lines().map(str::to_owned).collect();
        rows.sort();
        states.push(rows);
    }
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0].len(), bodies().len());
    // An index in the order of a locale is in disorder when the library that knows the locale changes.
    let in_another_order = "
        select string_agg(indexrelid::regclass || '.' || attname, ', ')
        from pg_index
        join pg_attribute on attrelid = indexrelid
        where indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
          and attcollation not in (0, 'pg_catalog.\"C\"'::regcollation)";
    assert_eq!(german.text(in_another_order).await, "");
}
