//! A wire to PostgreSQL that can be cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    is_cut: watch::Sender<bool>,
    /// How many of the next connections come through whole; after them nothing gets through, and nothing is closed.
    passing: Arc<AtomicUsize>,
}

impl Proxy {
    /// Forwards a TCP port to a server's Unix socket.
    pub async fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_cut, cuts) = watch::channel(false);
        let passing = Arc::new(AtomicUsize::new(usize::MAX));
        let still_passing = Arc::clone(&passing);
        let socket: Arc<PathBuf> = Arc::new(socket.to_owned());
        tokio::spawn(async move {
            let mut frozen = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut cuts, socket) = (cuts.clone(), Arc::clone(&socket));
                if *cuts.borrow() {
                    continue;
                }
                let passes = still_passing.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
                if !passes {
                    frozen.push(client);
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut server) = UnixStream::connect(socket.as_path()).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        Self { port, is_cut, passing }
    }

    /// Breaks every connection, and every new one, until it is mended.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Lets so many more connections through; those after them hang, as behind a dead host.
    pub fn freeze_after(&self, connections: usize) {
        self.passing.store(connections, SeqCst);
    }

    pub fn thaw(&self) {
        self.passing.store(usize::MAX, SeqCst);
    }

    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}
