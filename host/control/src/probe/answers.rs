//! The three answers of the probe listener, and which form of metrics a client wants.

use super::{MetricsFormat, Probe};
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The routes. Everything else is 404, and 405 where only the method is wrong.
pub(super) fn app(probe: Arc<dyn Probe>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probe)
}

async fn livez(State(probe): State<Arc<dyn Probe>>) -> Response {
    verdict(probe.alive())
}

async fn readyz(State(probe): State<Arc<dyn Probe>>) -> Response {
    match tokio::task::spawn_blocking(move || probe.ready()).await {
        Ok(ready) => verdict(ready),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn metrics(State(probe): State<Arc<dyn Probe>>, headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = wanted(accepts);
    match tokio::task::spawn_blocking(move || probe.metrics(format)).await {
        Ok(text) => {
            let content = match format {
                MetricsFormat::OpenMetrics => OPEN_METRICS,
                MetricsFormat::PrometheusText => PROMETHEUS_TEXT,
            };
            answer(StatusCode::OK, content, text)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn verdict(verdict: Result<(), String>) -> Response {
    match verdict {
        Ok(()) => answer(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
    }
}

fn answer(status: StatusCode, content: &'static str, text: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(content)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (status, headers, text).into_response()
}

/// OpenMetrics where a client names it and likes it at least as much as plain text; what else there is, is plain text.
fn wanted<'a>(accepts: impl Iterator<Item = &'a str>) -> MetricsFormat {
    let (mut open_metrics, mut text) = (0.0, 0.0);
    for range in accepts.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok()).unwrap_or(1.0);
        match kind.as_str() {
            "application/openmetrics-text" => open_metrics = weight.max(open_metrics),
            "text/plain" | "text/*" => text = weight.max(text),
            _ => {}
        }
    }
    match open_metrics > 0.0 && open_metrics >= text {
        true => MetricsFormat::OpenMetrics,
        false => MetricsFormat::PrometheusText,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_the_client_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let cases = [
            (prometheus, MetricsFormat::OpenMetrics),
            ("application/openmetrics-text", MetricsFormat::OpenMetrics),
            ("*/*", MetricsFormat::PrometheusText),
            ("", MetricsFormat::PrometheusText),
            ("text/plain, application/openmetrics-text; q=0.4", MetricsFormat::PrometheusText),
            ("application/openmetrics-text; q=0", MetricsFormat::PrometheusText),
        ];
        for (accept, expected) in cases {
            assert_eq!(wanted([accept].into_iter()), expected, "{accept}");
        }
        let both = ["text/plain;q=0.1", "application/openmetrics-text"];
        assert_eq!(wanted(both.into_iter()), MetricsFormat::OpenMetrics);
    }
}
