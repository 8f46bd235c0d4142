//! Bearer tokens: `weir_<id>_<secret>`. The id finds the row, the digest of the whole token decides, in constant time.

use super::{Caller, Role};
use crate::clock::unix_ms;
use crate::control::Control;
use crate::problem::{Code, Problem};
use crate::store::tokens::{self, Token};
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The file with the first admin token.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

/// A new token and its row.
pub fn generate(control: &Control, name: &str, role: Role, life: Option<Duration>) -> (String, Token) {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).expect("the operating system has random bytes");
    let id = control.new_id().to_lowercase();
    let text = format!("weir_{id}_{}", hex(&secret));
    let created_at = control.now();
    let life_ms = life.map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
    let token = Token {
        id,
        name: name.to_owned(),
        role,
        digest: digest(&text),
        created_at,
        expires_at: life_ms.map(|life| created_at.saturating_add(life)),
        revoked_at: None,
    };
    (text, token)
}

/// Whose token this is.
pub fn authenticate(control: &Control, presented: &str) -> Result<Caller, Problem> {
    let refused = || {
        Problem::new(Code::Unauthorized, "the token is not valid")
            .hint("it may have expired or been revoked: `GET /v1/tokens` with an admin token shows them")
    };
    let id = presented.strip_prefix("weir_").and_then(|rest| rest.split_once('_')).map(|(id, _)| id);
    let found = match id {
        Some(id) => control.store.read(|connection| tokens::find(connection, id))?,
        None => None,
    };
    // An id that does not exist costs the same comparison.
    let expected = found.as_ref().map_or_else(|| vec![0; SECRET_BYTES], |token| token.digest.clone());
    let same: bool = digest(presented).ct_eq(&expected).into();
    match found {
        Some(token) if same && token.is_valid(control.now()) => {
            Ok(Caller { who: format!("{}/{}", token.name, token.id), role: token.role })
        }
        _ => Err(refused()),
    }
}

/// Is the token by which this caller came in still valid?
pub fn is_valid(control: &Control, who: &str) -> Result<bool, Problem> {
    let id = who.rsplit_once('/').map_or(who, |(_, id)| id);
    let found = control.store.read(|connection| tokens::find(connection, id))?;
    Ok(found.is_some_and(|token| token.is_valid(control.now())))
}

/// Where no admin could come in, a token is made, and written to a file that only its owner can read. The file comes
/// first: a death in between leaves a token that opens nothing, and the next start makes another.
pub fn ensure_admin(control: &Control) -> Result<(), Problem> {
    let now = unix_ms((control.options.clock)());
    if control.store.read(|connection| tokens::has_valid_admin(connection, now))? {
        return Ok(());
    }
    let (text, token) = generate(control, "admin", Role::Admin, None);
    let path = control.options.data_dir.join(ADMIN_TOKEN_FILE);
    write_secret(&path, &text)?;
    let line = control.line("weir", "token.create", &format!("token/{}", token.id));
    control.store.write(|transaction| {
        tokens::insert(transaction, &token)?;
        crate::store::audit::insert(transaction, &line)
    })?;
    tracing::info!(file = %path.display(), "an admin token was made");
    Ok(())
}

fn write_secret(path: &Path, text: &str) -> Result<(), Problem> {
    let part = path.with_extension("token.part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(())
}

fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
