//! `weir token`: who may ask a server for what.

use super::connection::ServerOptions;
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::json;

/// Commands about tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once
    Create(Create),
    /// List tokens, without their secrets
    #[command(visible_alias = "ls")]
    List(List),
    /// End a token
    #[command(visible_alias = "rm")]
    Revoke(Revoke),
}

/// Options of `weir token create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it is for
    name: String,
    /// What it may do: viewer, deployer or admin
    #[arg(long, default_value = "viewer", value_name = "ROLE")]
    role: String,
    /// How long it is good
    #[arg(long, default_value = "90d", value_name = "DURATION")]
    expires_in: String,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir token list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir token revoke`.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The token's id
    id: String,
    #[command(flatten)]
    server: ServerOptions,
}

/// Carries a command out.
pub fn run(command: &TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create(options) => {
            let body = json!({"name": options.name, "role": options.role, "expires_in": options.expires_in});
            let answer = options.server.connect()?.post("/v1/tokens", &body)?;
            table::one(
                options.server.output,
                &answer,
                &[("id", "id"), ("role", "role"), ("expires", "expires_at"), ("token", "token")],
            );
        }
        TokenCommand::List(options) => {
            let answer = options.server.connect()?.get("/v1/tokens?limit=1000")?;
            table::list(
                options.server.output,
                &answer,
                &[
                    ("id", "id"),
                    ("name", "name"),
                    ("role", "role"),
                    ("expires", "expires_at"),
                    ("revoked", "revoked_at"),
                ],
            );
        }
        TokenCommand::Revoke(options) => {
            options.server.connect()?.delete(&format!("/v1/tokens/{}", options.id))?;
            println!("{} is revoked", options.id);
        }
    }
    Ok(Exit::Done)
}
