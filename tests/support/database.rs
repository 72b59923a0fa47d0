//! One private PostgreSQL for all tests of a binary that run at the same time, and a database for each.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_postgres::Server as PrivateServer;
use sobot_hook::private_server;
use sobot_hook::store::Store;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The servers live longer than the runtime of any one test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// A running server; the last test that lets go of it stops it.
pub struct Server {
    running: Option<PrivateServer>,
    directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // PostgreSQL refuses root, and its own account must be able to get there.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut server = Self { running: None, directory };
        server.resume();
        server
    }

    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub fn url(&self, database: &str) -> String {
        self.running.as_ref().unwrap().url_of(database)
    }

    /// Stops the server; its databases stay.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            std::thread::scope(|scope| scope.spawn(|| RUNTIME.block_on(running.stop())).join().unwrap());
        }
    }

    /// An immediate stop: PostgreSQL comes to no end and has to recover at the next start.
    pub fn crash(&mut self) {
        kill(self.postmaster(), Signal::SIGQUIT).unwrap();
        self.stop();
    }

    /// The process that accepts connections and starts all others.
    pub fn postmaster(&self) -> Pid {
        let file = self.data_dir().join("postgres/cluster/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.data_dir().join("postgres/socket/.s.PGSQL.5432")
    }

    /// Starts it again.
    pub fn resume(&mut self) {
        let options = private_server::options(self.directory.path());
        let started = std::thread::scope(|scope| scope.spawn(|| RUNTIME.block_on(options.start())).join());
        self.running = Some(started.unwrap().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An empty database on the shared server.
pub struct Database {
    pub url: String,
    pub pool: PgPool,
    _server: Arc<Server>,
}

impl Database {
    pub async fn create() -> Self {
        Self::create_with("").await
    }

    /// With options of `create database`.
    pub async fn create_with(options: &str) -> Self {
        let server = Server::shared();
        let url = create_with(&server, options).await;
        let pool = connect(&url);
        Self { url, pool, _server: server }
    }

    /// With the schema, and a way in for the store's own tests.
    pub async fn migrated() -> (Self, Store) {
        let database = Self::create().await;
        let store = Store::connect_lazily(&database.url, 8, super::PATIENCE).unwrap();
        store.migrate(super::PATIENCE).await.unwrap();
        (database, store)
    }

    /// Runs statements.
    pub async fn run(&self, statements: &str) {
        let done = self.pool.execute(AssertSqlSafe(statements)).await;
        done.unwrap_or_else(|error| panic!("{error} in\n{statements}"));
    }

    /// Leads the sessions to come to functions of our own, in the schema `disguise`, before PostgreSQL's.
    pub async fn disguise(&self, functions: &str) {
        let name = self.text("select current_database()").await;
        self.run(&format!("create schema disguise; {functions}")).await;
        self.run(&format!("alter database {name} set search_path = public, disguise, pg_catalog")).await;
    }

    pub async fn count(&self, query: &str) -> i64 {
        count(&self.pool, query).await
    }

    pub async fn text(&self, query: &str) -> String {
        text(&self.pool, query).await
    }
}

/// Makes a database and tells its URL.
pub async fn create(server: &Server) -> String {
    create_with(server, "").await
}

/// The same with options of `create database`.
pub async fn create_with(server: &Server, options: &str) -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let admin = connect(&server.url("postgres"));
    admin.execute(AssertSqlSafe(format!("create database {name} {options}"))).await.unwrap();
    admin.close().await;
    server.url(&name)
}

pub fn connect(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(3).connect_lazy(url).unwrap()
}

/// The one number that a query answers.
pub async fn count(pool: &PgPool, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(pool).await.unwrap()
}

/// The one text that a query answers; empty for null.
pub async fn text(pool: &PgPool, query: &str) -> String {
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(pool).await.unwrap();
    text.unwrap_or_default()
}

/// All state as one text, equal for equal states.
pub const STATE: &str = "
    select concat_ws(E'\\n',
        (select string_agg(to_jsonb(row)::text, E'\\n' order by user_id, page_id, mid) from messages as row),
        (select string_agg(to_jsonb(row)::text, E'\\n' order by user_id, page_id) from conversations as row),
        (select string_agg(to_jsonb(row)::text, E'\\n' order by user_id, page_id, topic) from subscriptions as row),
        (select string_agg((to_jsonb(row) - 'completed_at')::text, E'\\n' order by track_id) from uploads as row))";
