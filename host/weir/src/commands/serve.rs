//! `weir serve`: a host that is told over HTTP what to run.

use super::DataDirOptions;
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::metrics::ProbeOptions;
use crate::metrics::serve::ServeProbe;
use crate::pipeline_file::units;
use crate::serve::allowed::Allowed;
use crate::serve::host::WeirHost;
use crate::signals;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_control::{Options as ServiceOptions, Service, TlsFiles};
use weir_runtime::data_dir::DataDir;

/// Where the server listens unless told otherwise: nobody else can reach it there.
const DEFAULT_LISTEN: &str = "127.0.0.1:8380";

/// Options of `weir serve`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The address to listen on; another than this machine's own needs TLS, or --allow-plaintext
    #[arg(long, env = "WEIR_LISTEN", hide_env_values = true, default_value = DEFAULT_LISTEN, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The certificate chain for TLS, a PEM file
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key for TLS, a PEM file
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Listen on an address that others can reach although nothing is encrypted: tokens can be read on the way
    #[arg(long)]
    allow_plaintext: bool,
    /// A name by which clients reach this server, besides the address; may be repeated
    #[arg(long = "server-name", value_name = "NAME")]
    server_names: Vec<String>,
    /// The largest component that may be uploaded
    #[arg(long, default_value = "64MiB", value_parser = parse_bytes, value_name = "SIZE")]
    upload_bytes_max: u64,
    /// How long what a deleted pipeline left behind is kept
    #[arg(long, default_value = "7d", value_parser = units::duration_argument, value_name = "DURATION")]
    trash_retention: Duration,
    /// Memory of the keyed state of all pipelines; a quarter of what this process may use unless given
    #[arg(long, value_parser = parse_bytes, value_name = "SIZE")]
    state_memory_max: Option<u64>,
    /// A directory that pipelines may read and write; may be repeated. Relative paths are always in DATA_DIR/files
    #[arg(long = "allow-path", value_name = "DIR")]
    allowed_paths: Vec<PathBuf>,
    /// An environment variable that pipelines may fill in by ${env:NAME}; may be repeated
    #[arg(long = "allow-env", value_name = "NAME")]
    allowed_variables: Vec<String>,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    data: DataDirOptions,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let bytes = units::byte_size(text).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| "expected a size with its unit, such as 64MiB".to_owned())
}

/// Where a client on this machine finds the server.
fn url(options: &Options) -> String {
    let scheme = if options.tls_cert.is_some() { "https" } else { "http" };
    let mut listen = options.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("{scheme}://{listen}")
}

/// Serves until a signal asks for the end.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    logging::start(options.log_format);
    let data_dir = DataDir::open(&options.data.data_dir)?;
    // Pipelines keep absolute paths: their meaning must not depend on where the server was started.
    let root = data_dir
        .path()
        .canonicalize()
        .map_err(|error| Failure::failed(format!("data directory {}: {error}", data_dir.path().display())))?;
    let files = root.join("files");
    std::fs::create_dir_all(&files)
        .map_err(|error| Failure::failed(format!("{}: {error}", files.display())))?;
    let allowed =
        Allowed { files, paths: options.allowed_paths.clone(), variables: options.allowed_variables.clone() };
    let state_memory_max = options.state_memory_max.and_then(|bytes| usize::try_from(bytes).ok());
    let host = WeirHost::new(data_dir, allowed, state_memory_max, url(options))?;
    let probe = Arc::new(ServeProbe::new(host.process_metrics(), host.metrics().clone()));
    let _probes = options.probes.listen(probe.clone())?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificates), Some(key)) => {
            Some(TlsFiles { certificates: certificates.clone(), key: key.clone() })
        }
        _ => None,
    };
    let mut service = ServiceOptions::new(root);
    service.listen = options.listen;
    service.tls = tls;
    service.insecure_listen = options.allow_plaintext;
    service.host_names = options.server_names.clone();
    service.trash_retention = options.trash_retention;
    service.limits.component_bytes_max = options.upload_bytes_max;
    let stop = signals::watch_server()
        .map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")))?;
    let service =
        Service::bind(service, Arc::new(host)).map_err(|error| Failure::configuration(error.to_string()))?;
    probe.set(service.condition());
    // The one line on standard output: scripts read the address from it.
    println!("listening on {}", service.address());
    service.run(stop).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Exit::Done)
}
