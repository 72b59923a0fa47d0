//! The other side of the outbound clients, where it does not behave; and what the clients log.

use std::borrow::Cow;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sobot_hook::config::{Log, LogFormat, LogLevel};
use sobot_hook::ids::IdError;
use sobot_hook::telemetry::log;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Text as an id of whatever is wanted.
pub fn id<T: TryFrom<Cow<'static, str>, Error = IdError>>(text: &'static str) -> T {
    T::try_from(text.into()).unwrap()
}

/// A server that reads a request, answers each with these bytes as they are, and closes the connection: its URL, and how
/// many requests it has read.
pub async fn closing(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 4_096]);
            while !is_whole(&request) {
                let length = stream.read(&mut piece).await.unwrap();
                request.extend_from_slice(&piece[..length]);
            }
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, requests)
}

/// Whether the head has come, and as much of a body as it tells of.
fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// Everything that this test binary logs, as the service would at the level `trace`.
#[derive(Clone, Default)]
pub struct Traced(Arc<Mutex<Vec<u8>>>);

impl Traced {
    /// Begins to listen, once in a binary. It listens to all threads: what is logged first on a thread where nobody listens
    /// is cached as of no interest to anybody.
    pub fn start() -> Self {
        let traced = Self::default();
        let filter = log::filter(&Log { format: LogFormat::Text, level: LogLevel::Trace }).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(traced.clone());
        let subscriber = tracing_subscriber::registry().with(filter).with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        traced
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Traced {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
