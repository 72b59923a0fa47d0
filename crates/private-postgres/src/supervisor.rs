//! Keeping the server alive until it is told to stop.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::launch::Launch;
use crate::pid_file;
use crate::process::Process;

/// The pause before the first restart. It doubles with every further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between two restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A server that ran this long is sound, and its end is a new event.
const SOUND_AFTER: Duration = Duration::from_mins(1);

/// Restarts the server whenever it ends unasked. Returns when `stop` is sent to or dropped and the server has ended.
///
/// Dropping the future ends the server too, without waiting for it.
pub(crate) async fn supervise(launch: Launch, mut server: Process, mut stop: oneshot::Receiver<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => return server.shut_down().await,
            () = report_end(&mut server, &mut pause) => {}
        }
        server = tokio::select! {
            biased;
            _ = &mut stop => return,
            restarted = restart(&launch, &mut pause) => restarted,
        };
    }
}

/// Waits for the server to end and logs it. Forgets earlier restarts once it has run for long enough.
async fn report_end(server: &mut Process, pause: &mut Duration) {
    let pid = server.pid();
    let ended = if let Ok(ended) = tokio::time::timeout(SOUND_AFTER, server.ended()).await {
        ended
    } else {
        *pause = FIRST_PAUSE;
        server.ended().await
    };
    match ended {
        Ok(status) => tracing::error!(
            pid,
            status = %status,
            last_lines = server.said(),
            "the database server ended unasked and is started again"
        ),
        Err(error) => tracing::error!(
            pid,
            error = %error,
            "the database server cannot be waited for and is started again"
        ),
    }
}

/// Starts the server again, after a pause, as often as it takes.
///
/// Readiness is not awaited: a server that ends during its recovery ends unasked like any other.
async fn restart(launch: &Launch, pause: &mut Duration) -> Process {
    loop {
        tokio::time::sleep(*pause).await;
        *pause = LONGEST_PAUSE.min(*pause * 2);
        let started = match pid_file::clear(&launch.cluster()).await {
            Ok(()) => launch.spawn(),
            Err(error) => Err(error),
        };
        match started {
            Ok(server) => return server,
            Err(error) => {
                tracing::error!(error = %error, "the database server could not be started again");
            }
        }
    }
}
