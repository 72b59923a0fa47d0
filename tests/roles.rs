//! An owner migrates; a service that may only call and read serves. And many of them start at once.

mod support;

use std::process::{Command, Output};
use std::sync::Arc;

use sobot_hook::store::Schema;
use sqlx::{AssertSqlSafe, Executor};
use support::database::{Database, Server, connect, count, create, text};
use support::service::{Service, program};
use support::wire::message;
use support::{PATIENCE, until};

const AT: i64 = 1_760_000_000_000;
const SETUP: &str = include_str!("../docs/setup.md");

/// A database with the two roles of the document, neither of them a superuser. Roles are those of a whole server, so it
/// has one of its own.
struct TwoRoles {
    _server: Server,
    /// The superuser's way in.
    admin: String,
}

impl TwoRoles {
    async fn create() -> Self {
        let server = Server::start();
        let admin = create(&server).await;
        let database = text(&connect(&admin), "select current_database()::text").await;
        let owner = format!("create role house_owner login; alter database {database} owner to house_owner");
        connect(&admin).execute(AssertSqlSafe(owner)).await.unwrap();
        // As the document says, for the servers that need it.
        connect(&admin).execute("revoke create on schema public from public").await.unwrap();
        Self { _server: server, admin }
    }

    fn url(&self, role: &str) -> String {
        self.admin.replacen("sobot_hook@", &format!("{role}@"), 1)
    }

    /// What the document says, said by the owner.
    async fn grant(&self) {
        let (_, section) = SETUP.split_once("### Two roles").unwrap();
        let sql = section.split("```sql").nth(1).unwrap().split("```").next().unwrap();
        let sql = sql.replace("for role sobot_hook ", "for role house_owner ");
        let (create_role, grants) = sql.split_once(';').unwrap();
        connect(&self.admin).execute(AssertSqlSafe(create_role.to_owned())).await.unwrap();
        connect(&self.url("house_owner")).execute(AssertSqlSafe(grants.to_owned())).await.unwrap();
    }

    async fn count(&self, query: &str) -> i64 {
        count(&connect(&self.admin), query).await
    }
}

fn migrate(url: &str) -> Command {
    let mut migrate = program();
    migrate.arg("migrate").env("DATABASE_URL", url);
    migrate
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_role_that_only_calls_and_reads_serves() {
    let house = TwoRoles::create().await;
    house.grant().await;
    succeeded(&migrate(&house.url("house_owner")).output().unwrap());
    let lesser = house.url("sobot_hook_serve");
    let service = Service::start(&lesser);
    let bodies = [
        // Each of a month that the journal does not have yet.
        message("2", "1", "now", AT, "x"),
        message("2", "1", "then", AT - 100 * 86_400_000, "x"),
        // An event without a time, and one for the quarantine.
        r#"{"track_id":"t","attachment_id":7}"#.to_owned(),
        r#"{"track_id":"t","attachment_id":7}"#.to_owned(),
    ];
    for body in bodies {
        assert_eq!(service.post(body).await.0, 200);
    }
    assert_eq!(service.post("no JSON").await.0, 400);
    assert_eq!(house.count("select count(*) from events").await, 3, "{}", service.log());
    assert_eq!(house.count("select count(*) from messages").await, 2);
    assert_eq!(house.count("select count(*) from uploads where attachment_id = '7'").await, 1);
    assert_eq!(house.count("select count(*) from quarantine").await, 1);
    let (status, ready) = service.get("/readyz").await;
    assert!(status == 200 && ready.contains(r#""migrations":"ok""#), "{ready}");
    assert!(!service.log().contains("\"ERROR\""), "{}", service.log());
    for command in [&["rebuild", "--check"][..], &["rebuild"], &["replay"]] {
        succeeded(&program().args(command).env("DATABASE_URL", house.url("house_owner")).output().unwrap());
    }

    // It may do nothing else.
    let lesser = connect(&lesser);
    for statement in [
        "insert into messages select * from messages",
        "update events set note = 'x'",
        "delete from quarantine",
        "truncate first_receipts",
        "create table mine ()",
        "alter table events detach partition events_before_2016_04",
    ] {
        let code =
            lesser.execute(statement).await.unwrap_err().as_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, "42501", "{statement}");
    }
}

#[tokio::test]
async fn what_acts_for_the_owner_is_closed_to_others_and_meets_no_table_of_its_caller() {
    let (database, store) = Database::migrated().await;
    let of_owner = "select count(*) from pg_proc where prosecdef and pronamespace = 'public'::regnamespace";
    let open = format!("{of_owner} and has_function_privilege('public', oid, 'execute')");
    let safe = format!("{of_owner} and proconfig = array['search_path=public, pg_temp']");
    let looked = async || store.session().look().await.unwrap();
    assert_eq!(database.count(of_owner).await, 5);
    assert_eq!((database.count(&open).await, database.count(&safe).await), (0, 5));

    // As a restore without privileges leaves it.
    database.pool.execute("grant execute on all functions in schema public to public").await.unwrap();
    assert_eq!((database.count(&open).await, looked().await), (5, Schema::Behind(1)));
    store.migrate(PATIENCE).await.unwrap();
    assert_eq!((database.count(&open).await, looked().await), (0, Schema::Current));
}

#[tokio::test]
async fn without_schema_or_grant_one_line_says_what_to_run_and_what_came_is_stored_afterwards() {
    let house = TwoRoles::create().await;
    let create_role = "create role sobot_hook_serve login";
    connect(&house.admin).execute(create_role).await.unwrap();
    let mut service = Service::start(&house.url("sobot_hook_serve"));
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
    until("it asks for the schema", async || service.log().contains("run sobot-hook migrate as the role")).await;
    let refused = migrate(&house.url("sobot_hook_serve")).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("as the role that owns it"), "{said}");

    succeeded(&migrate(&house.url("house_owner")).output().unwrap());
    until("it asks for the grants", async || service.log().contains("\\\"Two roles\\\"")).await;
    connect(&house.admin).execute("drop role sobot_hook_serve").await.unwrap();
    house.grant().await;
    until("all is stored", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert_eq!(house.count("select count(*) from messages").await, 1);
    let told = service.log();
    let complaints = told.lines().filter(|line| line.contains("what waits in the spool cannot be stored yet"));
    assert!(complaints.count() <= 4, "once a reason: {told}");
    let openings = told.lines().filter(|line| line.contains("PostgreSQL does not take events"));
    assert!(openings.count() <= 4, "once a reason: {told}");
    assert_eq!(service.terminate().await.code(), Some(0));
}

/// Starts services and `migrate` at the same moment on an empty database, and posts to each service at once.
async fn start_together(owner: &str, serve: &str, admin: &str) {
    let serve = Arc::new(serve.to_owned());
    let migrates: Vec<_> = (0..2).map(|_| migrate(owner).spawn().unwrap()).collect();
    let services = (0..3).map(|_| {
        let serve = Arc::clone(&serve);
        tokio::task::spawn_blocking(move || Service::start(&serve))
    });
    let services = futures::future::join_all(services).await;
    for (number, service) in (0..).zip(&services) {
        let service = service.as_ref().unwrap();
        let body = message("2", "1", &format!("m-{number}"), AT + number, "x");
        assert_eq!(service.post(body).await.0, 200, "{}", service.log());
    }
    for mut migrate in migrates {
        assert!(migrate.wait().unwrap().success());
    }
    let admin = connect(admin);
    until("all is stored", async || count(&admin, "select count(*) from messages").await == 3).await;
}

#[tokio::test]
async fn many_services_and_migrate_start_at_once_on_an_empty_database() {
    let house = TwoRoles::create().await;
    start_together(&house.admin, &house.admin, &house.admin).await;
}

#[tokio::test]
async fn many_services_of_the_lesser_role_wait_for_migrate_on_an_empty_database() {
    let house = TwoRoles::create().await;
    house.grant().await;
    start_together(&house.url("house_owner"), &house.url("sobot_hook_serve"), &house.admin).await;
}
