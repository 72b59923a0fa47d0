//! A wire to PostgreSQL that can be cut, and that can freeze.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    is_cut: watch::Sender<bool>,
    is_frozen: watch::Sender<bool>,
    /// How many of the next connections come through whole; after them nothing gets through, and nothing is closed.
    passing: Arc<AtomicUsize>,
}

impl Proxy {
    /// Forwards a TCP port to a server's Unix socket.
    pub async fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_cut, cuts) = watch::channel(false);
        let (is_frozen, freezes) = watch::channel(false);
        let passing = Arc::new(AtomicUsize::new(usize::MAX));
        let still_passing = Arc::clone(&passing);
        let socket: Arc<PathBuf> = Arc::new(socket.to_owned());
        tokio::spawn(async move {
            let mut stuck = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                let (mut cuts, freezes, socket) = (cuts.clone(), freezes.clone(), Arc::clone(&socket));
                if *cuts.borrow() {
                    continue;
                }
                let passes = still_passing.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
                if !passes {
                    stuck.push(client);
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(socket.as_path()).await else { return };
                    tokio::select! {
                        () = forward(client, server, freezes) => {}
                        _ = cuts.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        Self { port, is_cut, is_frozen, passing }
    }

    /// Breaks every connection, and every new one, until it is mended.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }

    /// Lets so many more connections through; those after them hang, as behind a dead host.
    pub fn freeze_after(&self, connections: usize) {
        self.passing.store(connections, SeqCst);
    }

    /// Lets new connections through again.
    pub fn thaw(&self) {
        self.passing.store(usize::MAX, SeqCst);
    }

    /// From now on nothing is passed on, neither bytes nor ends, by no connection there is and no new one. With false
    /// everything goes on where it stood.
    pub fn freeze(&self, is_frozen: bool) {
        self.is_frozen.send_replace(is_frozen);
    }
}

/// Passes on in both directions until both have ended or one has broken.
async fn forward(mut client: TcpStream, mut server: UnixStream, freezes: watch::Receiver<bool>) {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // Whatever ends it, both sides are closed.
    let _ = tokio::try_join!(pass(from_client, to_server, freezes.clone()), pass(from_server, to_client, freezes));
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut freezes: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        // The sender lives as long as the proxy; after it nobody is left to freeze anything.
        let _ = freezes.wait_for(|is_frozen| !*is_frozen).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}
