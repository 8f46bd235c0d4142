//! Receiving a component: streamed to disk while it is hashed, with limits on size, silence and time.

use super::{INCOMING, Received};
use crate::control::Control;
use crate::http::body::Reader;
use crate::problem::{Code, Problem};
use crate::security::token::hex;
use axum::body::Body;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

/// Receives a body. A broken one leaves nothing.
pub async fn receive(control: &Control, body: Body) -> Result<Received, Problem> {
    let limits = &control.options.limits;
    let part = control.options.data_dir.join(INCOMING).join(format!("{}.part", control.new_id()));
    // From here on the file goes with this value.
    let mut received = Received { part, sha256: String::new(), size: 0 };
    let mut reader =
        Reader::new(body, limits.component_bytes_max, limits.body_idle_max, limits.upload_time_max);
    let written = write(&mut reader, &mut received).await;
    match &written {
        // Too slow already, or gone.
        Err(problem) if matches!(problem.code, Code::RequestTimeout | Code::InvalidParameter) => {}
        Err(_) => reader.discard_rest(limits.component_bytes_max, limits.body_time_max).await,
        Ok(()) => {}
    }
    written.map(|()| received)
}

async fn write(reader: &mut Reader, received: &mut Received) -> Result<(), Problem> {
    let mut file = tokio::fs::File::create_new(&received.part).await?;
    let mut digest = Sha256::new();
    while let Some(chunk) = reader.next().await? {
        digest.update(&chunk);
        received.size += chunk.len() as u64;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    received.sha256 = hex(&digest.finalize());
    Ok(())
}
