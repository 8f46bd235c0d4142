//! `/v1/tokens` and `/v1/audit`: for admins.

use super::blocking;
use super::body::Json;
use super::extract::{PathOf, QueryOf, Who};
use crate::control::{Change, Control};
use crate::problem::{Code, Problem};
use crate::security::token;
use crate::store::{audit, tokens};
use crate::wire::duration;
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::TokenId;
use crate::wire::tokens::{AuditView, NewToken, TokenRequest, TokenView};
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, description = "oldest first", body = List<TokenView>)))]
pub async fn list_tokens(
    State(control): State<Arc<Control>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<TokenView>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || control.store.read(|connection| tokens::page(connection, &page))).await?;
    Ok(axum::Json(List::of(found, TokenView::from)))
}

/// Makes a token. It is shown in this answer only.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = TokenRequest,
    responses((status = 201, description = "the token", body = NewToken)))]
pub async fn create_token(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    Json(asked): Json<TokenRequest>,
) -> Result<(StatusCode, axum::Json<NewToken>), Problem> {
    let life = duration("expires_in", Some(&asked.expires_in))?;
    let made = blocking(move || {
        let (text, row) = token::generate(&control, asked.name.as_str(), asked.role, life);
        let change = Change {
            who,
            action: "token.create",
            target: format!("token/{}", row.id),
            digest: None,
            plan_hash: None,
        };
        control.change(change, |change| {
            control.store.write(|transaction| {
                tokens::insert(transaction, &row)?;
                control.note(transaction, change)
            })
        })?;
        Ok(NewToken { token: text, view: TokenView::from(row) })
    });
    Ok((StatusCode::CREATED, axum::Json(made.await?)))
}

/// Revokes a token, at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", params(TokenId),
    responses((status = 204, description = "it opens nothing any more")))]
pub async fn revoke_token(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<TokenId>,
) -> Result<StatusCode, Problem> {
    blocking(move || {
        let target = format!("token/{}", path.id);
        let change = Change { who, action: "token.revoke", target, digest: None, plan_hash: None };
        control.change(change, |change| {
            control.store.write(|transaction| {
                tokens::find(transaction, path.id.as_str())?.ok_or_else(|| {
                    Problem::new(Code::TokenNotFound, format!("there is no token {}", path.id))
                })?;
                tokens::revoke(transaction, path.id.as_str(), control.now())?;
                control.note(transaction, change)
            })?;
            // Streams that were opened with it end.
            control.wake();
            Ok(())
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every change, and every one that was refused.
#[utoipa::path(get, path = "/v1/audit", tag = "tokens", params(PageQuery),
    responses((status = 200, description = "newest first", body = List<AuditView>)))]
pub async fn list_audit(
    State(control): State<Arc<Control>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<AuditView>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || control.store.read(|connection| audit::page(connection, &page))).await?;
    Ok(axum::Json(List::of(found, AuditView::from)))
}
