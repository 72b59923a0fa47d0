//! Growth.
use anyhow::Result;
pub async fn run(_rounds: usize, _seconds: u32) -> Result<()> {
    anyhow::bail!("not yet")
}
