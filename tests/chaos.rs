//! The acknowledgement as a proved promise: clients post, and everything that can fail does.
//!
//! A seeded script kills the service (also while PostgreSQL is away), ends PostgreSQL at once, cuts the wire to it,
//! fills the spool's quota and sends SIGTERM, while sixteen clients post random bodies and repetitions. At the
//! end every acknowledged event must be in the journal, none twice, the state must be what the journal says, and
//! the counts of the last process must add up.
//!
//! `./dev chaos --minutes N --seed S` runs it for longer. The same seed gives the same bodies and the same script.

mod support;

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use support::database::{Server, connect, count, create};
use support::proxy::Proxy;
use support::service::{SECRET, Service, program};
use support::until;
use support::wire::event;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const CLIENTS: u64 = 16;
const AT: i64 = 1_760_000_000_000;

/// Small enough to be full now and then.
const SPOOL_BYTES: &str = "4000000";

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What the clients saw.
#[derive(Default)]
struct Seen {
    posts: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    acknowledged_while_away: AtomicU64,
    is_away: AtomicBool,
    stop: AtomicBool,
    acknowledged: Mutex<HashSet<String>>,
    quarantined: AtomicU64,
}

/// One to four events, each with a mark of its own by which the journal is searched.
fn body(rng: &mut Rng, client: u64, number: u64) -> (String, Vec<String>) {
    let marks: Vec<String> = (0..rng.u64(1..5)).map(|part| format!("{client}-{number}-{part}")).collect();
    if rng.u8(..20) == 0 {
        let mark = format!("track-{client}-{number}");
        return (json!({ "track_id": mark, "attachment_id": number.to_string() }).to_string(), vec![mark]);
    }
    let events: Vec<Value> = marks
        .iter()
        .map(|mark| {
            let (user, at) = (format!("user-{}", rng.u8(..50)), AT + rng.i64(0..10_000_000));
            let mid = if rng.bool() { format!("mid-{mark}") } else { format!("mid-{}", rng.u16(..500)) };
            let what = match rng.u8(..7) {
                0 => json!({ "message": { "mid": format!("mid-{mark}"), "text": "x".repeat(rng.usize(..300)) } }),
                1 => json!({ "message": { "mid": format!("mid-{mark}"), "text": "!", "is_echo": true } }),
                2 => json!({ "delivery": { "mids": [mid], "watermark": at - 5 } }),
                3 => json!({ "read": { "watermark": at - 5 } }),
                4 => json!({ "message_edit": { "mid": mid, "text": mark, "num_edit": rng.u8(..9) } }),
                5 => {
                    let status = rng.choice([Value::Null, json!("STOP_NOTIFICATIONS"), json!("RESUME_NOTIFICATIONS")]);
                    json!({ "optin": { "type": "notification_messages", "title": "t", "notification_messages_status": status } })
                }
                _ => json!({ "nobody_knows": { "x": [number] } }),
            };
            let mut event = event(&user, "page", at, &what);
            event["mark"] = mark.as_str().into();
            event
        })
        .collect();
    (json!({ "object": "page", "entry": [{ "id": "page", "time": AT, "messaging": events }] }).to_string(), marks)
}

async fn client(seen: Arc<Seen>, url: Arc<Mutex<String>>, http: reqwest::Client, mut rng: Rng, client: u64) {
    let mut sent: Vec<(String, Vec<String>)> = Vec::new();
    for number in 0.. {
        if seen.stop.load(Ordering::Relaxed) {
            return;
        }
        let garbage = rng.u8(..50) == 0;
        let (body, marks) = match rng.u8(..5) {
            _ if garbage => (format!("{{\"garbage\": {client}-{number}"), Vec::new()),
            0 if !sent.is_empty() => sent[rng.usize(..sent.len())].clone(),
            _ => body(&mut rng, client, number),
        };
        seen.posts.fetch_add(1, Ordering::Relaxed);
        let away_before = seen.is_away.load(Ordering::SeqCst);
        let target = url.lock().unwrap().clone();
        match http.post(target).body(body.clone()).send().await.map(|answer| answer.status().as_u16()) {
            Ok(200) => {
                if away_before && seen.is_away.load(Ordering::SeqCst) {
                    seen.acknowledged_while_away.fetch_add(1, Ordering::Relaxed);
                }
                seen.acknowledged.lock().unwrap().extend(marks.iter().cloned());
                if sent.len() < 1_000 {
                    sent.push((body, marks));
                }
            }
            Ok(400) if garbage => {
                seen.quarantined.fetch_add(1, Ordering::Relaxed);
            }
            Ok(503) => {
                seen.refused.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
            Ok(status) => panic!("{status} for {body}"),
            Err(_) => {
                seen.broken.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// What the script acts on.
struct Stage {
    server: Server,
    service: Option<Service>,
    proxy: Proxy,
    database: String,
    data_dir: TempDir,
    url: Arc<Mutex<String>>,
    seen: Arc<Seen>,
    acts: HashMap<&'static str, u64>,
}

impl Stage {
    async fn serve(&mut self) {
        let wire = format!("postgres://sobot_hook@127.0.0.1:{}/{}?sslmode=disable", self.proxy.port, self.database);
        let data_dir = self.data_dir.path().to_str().unwrap().to_owned();
        let started = tokio::task::spawn_blocking(move || {
            let environment = [
                ("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir.as_str()),
                ("SOBOT_HOOK__SPOOL__MAX_BYTES", SPOOL_BYTES),
                ("SOBOT_HOOK__HTTP__BODY_LIMIT_BYTES", "1000000"),
            ];
            Service::start_with(&wire, &environment)
        });
        let service = started.await.unwrap();
        self.url.lock().unwrap().clone_from(&service.webhook);
        self.service = Some(service);
    }

    fn kill(&mut self) {
        // Dropped without a word: SIGKILL.
        drop(self.service.take());
    }

    async fn away(&mut self, time: Duration, with_kill: bool) {
        tokio::task::block_in_place(|| self.server.crash());
        self.seen.is_away.store(true, Ordering::SeqCst);
        sleep(time / 2).await;
        if with_kill {
            self.kill();
            self.serve().await;
        }
        sleep(time / 2).await;
        self.seen.is_away.store(false, Ordering::SeqCst);
        tokio::task::block_in_place(|| self.server.resume());
    }

    async fn act(&mut self, act: &'static str, rng: &mut Rng) {
        *self.acts.entry(act).or_default() += 1;
        let pause = Duration::from_millis(rng.u64(500..3_000));
        match act {
            "kill -9" => {
                self.kill();
                self.serve().await;
            }
            "PostgreSQL stopped" => self.away(pause, false).await,
            "kill -9 while PostgreSQL is away" => self.away(pause, true).await,
            "wire cut" => {
                self.proxy.cut();
                sleep(pause).await;
                self.proxy.mend();
            }
            "spool filled" => {
                let refused = self.seen.refused.load(Ordering::Relaxed);
                tokio::task::block_in_place(|| self.server.crash());
                let patience = Instant::now() + Duration::from_secs(20);
                while self.seen.refused.load(Ordering::Relaxed) == refused && Instant::now() < patience {
                    sleep(Duration::from_millis(50)).await;
                }
                tokio::task::block_in_place(|| self.server.resume());
            }
            "SIGTERM" => {
                let mut service = self.service.take().unwrap();
                assert_eq!(service.terminate().await.code(), Some(0), "{}", service.log());
                self.serve().await;
            }
            _ => unreachable!("{act}"),
        }
        sleep(Duration::from_millis(rng.u64(500..2_500))).await;
    }
}

/// The acts of the first minute; a longer run goes on with random ones.
const SCRIPT: [&str; 8] = [
    "kill -9",
    "PostgreSQL stopped",
    "SIGTERM",
    "kill -9 while PostgreSQL is away",
    "wire cut",
    "kill -9",
    "spool filled",
    "PostgreSQL stopped",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_fails() {
    let (minutes, seed) = (setting::<f64>("CHAOS_MINUTES", 0.25), setting::<u64>("CHAOS_SEED", 1));
    let seconds = minutes * 60.0;
    let mut rng = Rng::with_seed(seed);
    let server = Server::start();
    let direct = create(&server).await;
    let name = direct.split("localhost/").nth(1).unwrap().split('?').next().unwrap().to_owned();
    let proxy = Proxy::start(&server.socket()).await;
    let clients_saw = Arc::new(Seen::default());
    let mut stage = Stage {
        server,
        service: None,
        proxy,
        database: name,
        data_dir: tempfile::tempdir().unwrap(),
        url: Arc::default(),
        seen: Arc::clone(&clients_saw),
        acts: HashMap::new(),
    };
    stage.serve().await;
    let http = sobot_hook::outbound::client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            tokio::spawn(client(Arc::clone(&clients_saw), Arc::clone(&stage.url), http.clone(), rng.fork(), number))
        })
        .collect();

    let end = Instant::now() + Duration::from_secs_f64(seconds);
    for round in 0.. {
        if Instant::now() > end {
            break;
        }
        let act = SCRIPT.get(round).copied().unwrap_or_else(|| rng.choice(SCRIPT).unwrap());
        stage.act(act, &mut rng).await;
    }
    clients_saw.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }

    let service = stage.service.as_ref().unwrap();
    until("the spool is drained", async || {
        let readiness: Value = serde_json::from_str(&service.get("/readyz").await.1).unwrap();
        readiness["spool"]["entries"] == 0 && readiness["database"] == "ok"
    })
    .await;
    let pool = connect(&direct);
    let marks = "select coalesce(body->>'mark', body->>'track_id') from events";
    let journaled: Vec<String> = sqlx::query_scalar(marks).fetch_all(&pool).await.unwrap();
    let distinct: HashSet<&String> = journaled.iter().collect();
    let acknowledged = std::mem::take(&mut *clients_saw.acknowledged.lock().unwrap());
    let lost = acknowledged.iter().filter(|mark| !distinct.contains(mark)).count();
    let doubled = journaled.len() - distinct.len();
    let quarantine = count(&pool, "select count(distinct raw) from quarantine").await;
    let received = service.metric("sobot_hook_events_received_total").await;
    let settled = service.metric("sobot_hook_events_total").await;
    pool.close().await;

    let mut check = program();
    check.args(["rebuild", "--check"]).env("DATABASE_URL", &direct).env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET);
    let check = tokio::task::spawn_blocking(move || check.output().unwrap()).await.unwrap();
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "seed {seed}, {seconds:.0} s: {} posts, {} events acknowledged ({} posts while PostgreSQL was away), {} refused, {} broken off; \
         {lost} lost, {doubled} doubled; rebuild --check: {} {:?}",
        get(&clients_saw.posts),
        acknowledged.len(),
        get(&clients_saw.acknowledged_while_away),
        get(&clients_saw.refused),
        get(&clients_saw.broken),
        String::from_utf8_lossy(&check.stdout).trim(),
        stage.acts,
    );
    assert_eq!((lost, doubled), (0, 0), "seed {seed}");
    assert_eq!(check.status.code(), Some(0), "seed {seed}: {check:?}");
    assert_eq!(received, settled, "seed {seed}: events in = stored + duplicate + quarantined + spooled + refused");
    assert!(quarantine >= i64::try_from(get(&clients_saw.quarantined)).unwrap(), "seed {seed}");
}
