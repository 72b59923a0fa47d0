//! Two versions beside each other: what the one before calls stays, what is older goes, and nobody rewrites rows whose
//! columns it does not know.

mod support;

use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Value, json};
use sobot_hook::dialect::webhook::parse;
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Batch, Scope};
use sqlx::{AssertSqlSafe, Executor};
use support::database::Database;
use support::service::{Service, program};
use support::until;
use support::wire::{envelope, event, message};

const AT: i64 = 1_760_000_000_000;

/// Our functions and types, of which the names end in twelve hexadecimal digits.
const OURS: &str = "
    select format('drop function %s', oid::regprocedure) from pg_proc where proname ~ '_[0-9a-f]{12}$'
    union all
    select format('drop type %s', oid::regtype) from pg_type where typname ~ '^[a-z].*_[0-9a-f]{12}$'";

#[tokio::test]
async fn what_two_releases_call_stays_and_what_is_older_goes() {
    let (database, store) = Database::migrated().await;
    let drops: Vec<String> = sqlx::query_scalar(OURS).fetch_all(&database.pool).await.unwrap();
    assert!(drops.len() > 10, "{drops:?}");
    for statement in &drops {
        database.pool.execute(AssertSqlSafe(statement.clone())).await.unwrap();
    }
    database
        .pool
        .execute(
            "delete from installed_functions;
             create type row_0123456789ab as (x text);
             create function older_0123456789ab(rows row_0123456789ab[]) returns void language sql as '';
             create function before_0123456789ab() returns void language sql as '';
             insert into installed_functions (name, release, installed_at)
             values ('row_0123456789ab', '0.0.1', now() - interval '2 days'),
                    ('older_0123456789ab', '0.0.1', now() - interval '2 days'),
                    ('before_0123456789ab', '0.0.2', now() - interval '1 day')",
        )
        .await
        .unwrap();
    store.migrate(support::PATIENCE).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar(OURS).fetch_all(&database.pool).await.unwrap();
    assert!(left.contains(&"drop function before_0123456789ab()".to_owned()), "{left:?}");
    let mut left: Vec<_> = left.into_iter().filter(|statement| !statement.contains("0123456789ab")).collect();
    let mut ours = drops;
    left.sort();
    ours.sort();
    assert_eq!(left, ours);
    let releases = "select string_agg(distinct release, ' ' order by release) from installed_functions";
    assert_eq!(database.text(releases).await, format!("0.0.2 {}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn subscriptions_of_a_version_before_keep_what_was_told_of_their_tokens() {
    let (database, store) = Database::migrated().await;
    let optin = |user: &str, members: Value| {
        let mut optin = json!({ "type": "notification_messages", "title": "t" });
        optin.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let body = envelope("1", &event(user, "1", AT, &json!({ "optin": optin })));
        parse(&Bytes::from(body), DateTime::from_timestamp_millis(AT).unwrap()).unwrap().remove(0)
    };
    let events = [
        optin("2", json!({ "notification_messages_token": "7", "token_expiry_timestamp": AT + 1_000 })),
        optin("3", json!({ "notification_messages_token": "8" })),
        optin("4", json!({ "notification_messages_frequency": "DAILY" })),
        optin("5", json!({})),
    ];
    let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
    store.session().commit(&batch).await.unwrap();
    // As the version before left it.
    database
        .pool
        .execute(
            "alter table subscriptions
                 drop column token_at,
                 drop column terms_at,
                 drop column terms_key,
                 drop column terms_token,
                 drop column terms_expire_at;
             delete from _sqlx_migrations where version = 4",
        )
        .await
        .unwrap();
    store.migrate(support::PATIENCE).await.unwrap();
    let rebuilt = rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.differences), (4, 0));
    store.close().await;
}

#[tokio::test]
async fn a_service_goes_on_beside_a_newer_schema_and_rewrites_nothing_there() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    assert_eq!(service.post(message("2", "1", "before", AT, "x")).await.0, 200);
    // What a later version's migration does.
    database
        .pool
        .execute(
            "alter table messages add column language text;
             insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'newer', true, '', 0)",
        )
        .await
        .unwrap();
    assert_eq!(service.post(message("2", "1", "beside", AT, "x")).await.0, 200);
    database.pool.execute("update messages set language = 'zh'").await.unwrap();
    // It may also be started anew.
    let second = Service::start(&database.url);
    assert_eq!(second.post(message("2", "1", "started", AT, "x")).await.0, 200);
    until("all is stored", async || database.count("select count(*) from messages").await == 3).await;
    for command in [&["migrate"][..], &["rebuild"], &["rebuild", "--check"], &["replay"]] {
        let output = program().args(command).env("DATABASE_URL", &database.url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?} {said}");
        assert!(said.contains("newer version of this program"), "{command:?} {said}");
    }
    assert_eq!(database.count("select count(*) from messages where language = 'zh'").await, 2);
}
