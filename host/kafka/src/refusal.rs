//! Why no connection comes to be: what the client saw, as one line that names the broker and the property to change.

use crate::client_error::{ClientError, ErrorCode};
use std::fmt;
use weir_protocol::plan::ClusterSpec;

/// A certificate that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFault {
    /// `host:port` of the broker.
    pub broker: String,
    /// OpenSSL's number of the fault, `X509_V_ERR_…`.
    pub code: i32,
}

/// OpenSSL's numbers, which are part of its interface.
const NOT_YET_VALID: i32 = 9;
const EXPIRED: i32 = 10;
const ISSUERS_UNKNOWN: &[i32] = &[2, 18, 19, 20, 21, 27];
const OTHER_HOST: &[i32] = &[62, 64];

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertificateFault { broker, code } = self;
        match *code {
            EXPIRED => write!(
                f,
                "the certificate of broker {broker} has expired; renew it in the broker's ssl.keystore.location"
            ),
            NOT_YET_VALID => {
                write!(
                    f,
                    "the certificate of broker {broker} is not valid yet; compare the clocks of both machines"
                )
            }
            code if ISSUERS_UNKNOWN.contains(&code) => write!(
                f,
                "the certificate of broker {broker} is signed by an authority that is not known here; set ssl.ca.location to the PEM file of that authority"
            ),
            code if OTHER_HOST.contains(&code) => write!(
                f,
                "the certificate of broker {broker} is for another host name; use a name that it has in brokers and in the brokers' advertised.listeners, or renew it with this name among its subjectAltName"
            ),
            code => write!(
                f,
                "the certificate of broker {broker} is not accepted (OpenSSL's verify error {code})"
            ),
        }
    }
}

/// What the client saw while it tried to connect.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The last error that concerned the client as a whole.
    pub error: Option<ClientError>,
    /// The last connection that failed, in librdkafka's words.
    pub failure: Option<String>,
    /// The last certificate that was not accepted.
    pub certificate: Option<CertificateFault>,
    /// Somebody listens who does not answer the first request of Kafka's protocol.
    pub no_kafka: bool,
}

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It stays like that until somebody changes something.
    Final(String),
    /// Perhaps it is like that.
    Perhaps(String),
}

/// Reads what was seen; none where it says nothing.
pub(crate) fn refusal(section: &str, spec: &ClusterSpec, seen: &Seen) -> Option<Refusal> {
    let set = |property: &str, to: &str| format!("set {section}.properties.\"{property}\" = {to}");
    if let Some(fault) = &seen.certificate {
        let text = fault
            .to_string()
            .replace("set ssl.ca.location", &format!("set {section}.properties.\"ssl.ca.location\""));
        return Some(Refusal::Final(text.replace("in brokers and", &format!("in {section}.brokers and"))));
    }
    let property = |name: &str| spec.properties.get(name).map_or("", String::as_str);
    let protocol = match property("security.protocol") {
        "" => "plaintext".to_owned(),
        given => given.to_ascii_lowercase(),
    };
    let brokers = &spec.brokers;
    if let Some(error) = &seen.error
        && error.code.is_authentication()
    {
        let text = &error.text;
        return Some(Refusal::Final(
            if let Some((_, mechanisms)) =
                text.split_once("Unsupported SASL mechanism: broker's supported mechanisms: ")
            {
                let mechanisms = mechanisms.split(" (after").next().unwrap_or(mechanisms);
                format!(
                    "the Kafka brokers at {brokers} do not know the mechanism {}; {}",
                    property("sasl.mechanism"),
                    set("sasl.mechanism", &format!("one of {mechanisms}"))
                )
            } else if text.contains("not valid in current SASL state") {
                let without = if protocol.ends_with("ssl") { "\"ssl\"" } else { "\"plaintext\"" };
                format!(
                    "the Kafka brokers at {brokers} do not authenticate by SASL on this port; {}, or use the port that does",
                    set("security.protocol", without)
                )
            } else {
                format!(
                    "the Kafka brokers at {brokers} do not accept user {:?} with this password ({}); check {section}.properties.\"sasl.username\" and \"sasl.password\": {text} (code {})",
                    property("sasl.username"),
                    property("sasl.mechanism"),
                    error.code.0
                )
            },
        ));
    }
    let failure = seen.failure.as_deref().unwrap_or_default();
    let (tls, sasl) = (protocol.ends_with("ssl"), protocol.starts_with("sasl"));
    let hint = if tls
        && (failure.contains("SSL_HANDSHAKE") && failure.contains("Disconnected")
            || failure.contains("wrong version number"))
    {
        let plain = if sasl { "\"sasl_plaintext\"" } else { "\"plaintext\"" };
        format!(
            "what listens there does not speak TLS; {}, or use the port that does",
            set("security.protocol", plain)
        )
    } else if !tls && (seen.no_kafka || failure.contains("SSL listener")) {
        let secure = if sasl { "\"sasl_ssl\"" } else { "\"ssl\" or \"sasl_ssl\"" };
        format!(
            "what listens there does not answer Kafka's protocol in plaintext: a TLS listener? {}",
            set("security.protocol", secure)
        )
    } else if !sasl && failure.contains("Disconnected") && failure.contains("in state UP") {
        let secure = if tls { "\"sasl_ssl\"" } else { "\"sasl_plaintext\"" };
        format!(
            "what listens there hangs up after the first question: it may demand SASL; {} with sasl.mechanism, sasl.username and sasl.password",
            set("security.protocol", secure)
        )
    } else {
        return None;
    };
    Some(Refusal::Perhaps(hint))
}

impl ErrorCode {
    fn is_authentication(self) -> bool {
        [ErrorCode::AUTHENTICATION, ErrorCode::SASL_AUTHENTICATION, ErrorCode::SASL_MECHANISM].contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(properties: &[(&str, &str)], seen: &Seen) -> String {
        let mut spec = ClusterSpec { brokers: "b:9093".to_owned(), ..ClusterSpec::default() };
        spec.properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match refusal("kafka.main", &spec, seen) {
            Some(Refusal::Final(text) | Refusal::Perhaps(text)) => text,
            None => String::new(),
        }
    }

    #[test]
    fn each_fault_of_a_certificate_is_told_apart() {
        let of = |code| {
            let certificate = Some(CertificateFault { broker: "b:9093".to_owned(), code });
            told(&[], &Seen { certificate, ..Seen::default() })
        };
        assert!(of(10).contains("b:9093 has expired"), "{}", of(10));
        assert!(of(19).contains("set kafka.main.properties.\"ssl.ca.location\" to"), "{}", of(19));
        assert!(
            of(64).contains("another host name; use a name that it has in kafka.main.brokers"),
            "{}",
            of(64)
        );
        assert!(of(99).contains("verify error 99"), "{}", of(99));
    }

    #[test]
    fn a_mechanism_that_the_broker_does_not_have_is_answered_with_those_that_it_has() {
        let text = "x: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 9ms in state AUTH_HANDSHAKE)";
        let error =
            ClientError { text: text.to_owned(), ..ClientError::from_code(ErrorCode::AUTHENTICATION) };
        let seen = Seen { error: Some(error), ..Seen::default() };
        let told = told(&[("sasl.mechanism", "PLAIN")], &seen);
        assert!(
            told.contains(
                "mechanism PLAIN; set kafka.main.properties.\"sasl.mechanism\" = one of SCRAM-SHA-512"
            ),
            "{told}"
        );
    }
}
