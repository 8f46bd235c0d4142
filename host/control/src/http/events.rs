//! `…/events`: pages, or a stream of server-sent events that goes on as long as the client listens.

use super::blocking;
use super::extract::{PathOf, QueryOf, Who};
use crate::control::Control;
use crate::name::Name;
use crate::pipelines;
use crate::problem::{Code, Problem};
use crate::security::token;
use crate::store::Page;
use crate::store::events::{self, Event};
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::Named;
use crate::wire::pipelines::EventView;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Events that a stream reads at a time.
const READ_MAX: u32 = 100;
/// How often it is looked whether the token of a silent stream is still valid; a revocation is seen at once.
const TOKEN_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often a silent stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happened, oldest first. With `Accept: text/event-stream` it goes on as it happens, after `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/pipelines/{name}/events", tag = "pipelines",
    params(Named, PageQuery, ("Last-Event-ID" = Option<i64>, Header, description = "the last event that the client has")),
    responses((status = 200, description = "a page, or the stream", content(
        (List<EventView> = "application/json"), (String = "text/event-stream")))))]
pub async fn pipeline_events(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut page = query.page()?;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = accepts.contains("text/event-stream");
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default().to_owned());
    let is_number = |text: &Option<String>| text.as_deref().is_none_or(|text| text.parse::<i64>().is_ok());
    // Also where it is not used: a client that sends another has misunderstood it.
    if !is_number(&page.after) || !is_number(&last) {
        return Err(Problem::new(Code::InvalidParameter, "after, Last-Event-ID: expected an event's number"));
    }
    if streams && last.is_some() {
        page.after = last;
    }
    if streams {
        // A change between this and the first read wakes the stream once too often.
        let changed = control.events.subscribe();
        let closing = control.closing.subscribe();
        let first = read(&control, &path.name, &page).await?.0;
        let after = page.after_number()?.unwrap_or(0);
        let state =
            Stream { control, who, name: path.name, changed, closing, after, waiting: VecDeque::from(first) };
        let events = stream::unfold(state, next);
        return Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response());
    }
    let found = read(&control, &path.name, &page).await?;
    Ok(axum::Json(List::of(found, EventView::from)).into_response())
}

/// A client that listens.
struct Stream {
    control: Arc<Control>,
    who: String,
    name: Name,
    changed: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    after: i64,
    waiting: VecDeque<Event>,
}

async fn next(mut stream: Stream) -> Option<(Result<sse::Event, Infallible>, Stream)> {
    loop {
        if let Some(event) = stream.waiting.pop_front() {
            stream.after = event.seq;
            let view = EventView::from(event);
            let data = serde_json::to_string(&view).ok()?;
            let sent = sse::Event::default().id(view.seq.to_string()).event(&view.kind).data(data);
            return Some((Ok(sent), stream));
        }
        stream.changed.mark_unchanged();
        // Who may no longer read hears no more.
        if !may_still_read(&stream).await {
            return None;
        }
        let page = Page { after: Some(stream.after.to_string()), limit: READ_MAX };
        // A pipeline that was deleted ends its streams.
        stream.waiting = VecDeque::from(read(&stream.control, &stream.name, &page).await.ok()?.0);
        if stream.waiting.is_empty() {
            tokio::select! {
                changed = stream.changed.changed() => changed.ok()?,
                () = tokio::time::sleep(TOKEN_LOOK_INTERVAL) => {}
                () = async { stream.closing.wait_for(|closing| *closing).await.map(|_| ()).unwrap_or_default() } => return None,
            }
        }
    }
}

async fn may_still_read(stream: &Stream) -> bool {
    let (control, who) = (stream.control.clone(), stream.who.clone());
    blocking(move || token::is_valid(&control, &who)).await.unwrap_or(false)
}

async fn read(
    control: &Arc<Control>,
    name: &Name,
    page: &Page,
) -> Result<(Vec<Event>, Option<String>), Problem> {
    let (control, name, page) = (control.clone(), name.clone(), page.clone());
    blocking(move || {
        control
            .store
            .read(|connection| events::page(connection, pipelines::find(connection, &name)?.id, &page))
    })
    .await
}
