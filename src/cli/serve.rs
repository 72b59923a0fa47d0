//! `serve`, `demo`, and `healthcheck`, which asks one of them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::App;
use crate::config::Config;
use crate::outbound::client::builder;
use crate::{clock, demo as story, telemetry};

pub async fn serve(config: Config) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let stop = stop_signal()?;
    App::start(config, telemetry::metrics::start()?).await?.serve(stop).await
}

pub async fn demo(config: Config, once: bool) -> Result<()> {
    let config = story::configured(config);
    telemetry::log::start(&config.log)?;
    let mut signal = Box::pin(stop_signal()?);
    let mut app = App::start(config, telemetry::metrics::start()?).await?;
    let psql = tokio::select! {
        psql = app.start_private_server() => psql?,
        // What has been started ends with it.
        () = &mut signal => return Ok(()),
    };
    let url = story::url(app.address()?);
    let store = app.store().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let telling = async {
        let told = story::tell(&url, &store, clock::now()).await;
        if told.is_ok() {
            println!("\nLook for yourself:    {psql}");
            println!("Webhook URL:          {url}");
            println!(
                "In the Sobot console: the same with your public https address, https://your-host/webhook/<your secret>"
            );
            if !once {
                println!("\nServing on; Ctrl-C ends it.");
                signal.await;
            }
        }
        // Serving ends with it, whatever the story came to.
        drop(stop);
        told
    };
    let (served, told) = tokio::join!(app.serve(async { drop(stopped.await) }), telling);
    served.and(told)
}

pub async fn healthcheck(config: &Config) -> Result<()> {
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let client = builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    let answer = client.get(format!("http://{address}/healthz")).send().await;
    let answer = answer.with_context(|| format!("nothing serves on {address}"))?;
    if !answer.status().is_success() {
        bail!("{address} answers {}", answer.status());
    }
    println!("ok");
    Ok(())
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
