//! A broker that asks everybody for name and password over TLS and allows nobody anything that was not granted. All
//! tests of a run share it; each has users of its own.

use crate::harness::cluster::Cluster;
use crate::harness::job::Job;
use crate::harness::kafka_process::kafka_tool;
use crate::harness::own_broker::{self, OwnBroker};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Users that the broker knows, each for one test.
const USERS: usize = 24;

/// What a listener of the broker shows to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A good certificate.
    Good,
    /// One that has expired.
    Expired,
    /// One for another host.
    OtherHost,
}

const LISTENERS: [(Listener, &str); 3] =
    [(Listener::Good, "GOOD"), (Listener::Expired, "EXPIRED"), (Listener::OtherHost, "OTHERHOST")];

/// A name and its password.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub password: String,
}

/// The broker, its certificates and its users.
pub struct SecureBroker {
    broker: OwnBroker,
    ports: [u16; 3],
    certificates: tempfile::TempDir,
    users: AtomicUsize,
}

/// The one of this process.
pub fn secure() -> &'static SecureBroker {
    static SECURE: OnceLock<SecureBroker> = OnceLock::new();
    SECURE.get_or_init(SecureBroker::start)
}

fn user(number: usize) -> User {
    User { name: format!("user-{number}"), password: format!("secret of user {number}").replace(' ', "-") }
}

impl SecureBroker {
    fn start() -> SecureBroker {
        let certificates = tempfile::tempdir().expect("a directory for certificates");
        make_certificates(certificates.path());
        let reserved =
            [0; 3].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port"));
        let ports = [0, 1, 2].map(|at| reserved[at].local_addr().expect("its address").port());
        let mut format = Vec::new();
        for User { name, password } in (0..USERS).map(user) {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                format.extend([
                    "--add-scram".to_owned(),
                    format!("{mechanism}=[name={name},password={password}]"),
                ]);
            }
        }
        let format: Vec<&str> = format.iter().map(String::as_str).collect();
        let files = certificates.path().to_owned();
        let broker = OwnBroker::with(&format, move |directory, own_ports, proxy| {
            // Held until the broker's own were found, so that none is given twice.
            drop(reserved);
            properties(&own_broker::text(directory, own_ports, proxy), ports, &files)
        });
        SecureBroker { broker, ports, certificates, users: AtomicUsize::new(0) }
    }

    /// The cluster as its administrator sees it: without TLS, and allowed everything.
    pub fn admin(&self) -> Cluster {
        Cluster::at(&self.broker.address())
    }

    /// Where the broker's files are.
    pub fn directory(&self) -> &Path {
        self.broker.directory()
    }

    /// Where clients connect by TLS and SASL.
    pub fn address(&self, listener: Listener) -> String {
        let at = LISTENERS.iter().position(|(known, _)| *known == listener).expect("it is in the list");
        format!("127.0.0.1:{}", self.ports[at])
    }

    /// The certificate of the authority that signed the broker's.
    pub fn authority(&self) -> PathBuf {
        self.certificates.path().join("authority.pem")
    }

    /// The certificate of another authority.
    pub fn other_authority(&self) -> PathBuf {
        self.certificates.path().join("other-authority.pem")
    }

    /// A user that nobody else uses.
    pub fn user(&self) -> User {
        let number = self.users.fetch_add(1, Ordering::Relaxed);
        assert!(number < USERS, "raise USERS: every test has its own");
        user(number)
    }

    /// A pipeline of a user, with nothing but the top of its file. What is set here goes over the usual properties.
    pub fn job(&self, stem: &str, user: &User, set: &[(&str, &str)]) -> Job {
        let mut job = Job::on(&self.admin(), stem);
        let brokers = |address: &str| format!("brokers = \"{address}\"");
        job.text =
            job.text.replace(&brokers(&self.broker.address()), &brokers(&self.address(Listener::Good)));
        job.add("[kafka.main.properties]");
        let authority = self.authority().display().to_string();
        let usual = [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", user.name.as_str()),
            ("sasl.password", "${env:KAFKA_PASSWORD}"),
            ("ssl.ca.location", authority.as_str()),
        ];
        for (name, value) in usual {
            let value = set.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| *value);
            if !value.is_empty() {
                job.add(&format!("\"{name}\" = \"{value}\""));
            }
        }
        job
    }

    /// Does what a line of `kafka-acls.sh` says, as the administrator.
    #[track_caller]
    pub fn grant(&self, line: &str) {
        self.acls(line, "--add", &[]);
    }

    /// Takes back what such a line grants.
    #[track_caller]
    pub fn take_away(&self, line: &str) {
        self.acls(line, "--remove", &["--force"]);
    }

    #[track_caller]
    fn acls(&self, line: &str, instead_of_add: &str, more: &[&str]) {
        let (command, words) = line.split_once(' ').expect("a command with arguments");
        assert_eq!(command, "kafka-acls.sh");
        let (good, admin) = (self.address(Listener::Good), self.broker.address());
        let instead = |word: &'_ str| match word {
            "--add" => instead_of_add.to_owned(),
            word if word == good => admin.clone(),
            word => word.to_owned(),
        };
        let words: Vec<String> = words.split(' ').map(instead).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        kafka_tool("org.apache.kafka.tools.AclCommand", &words, "");
    }
}

/// The lines of `weir explain` without which a pipeline does not run.
pub fn needed_lines(job: &Job, user: &User) -> Vec<String> {
    lines(job, user, "run")
}

/// Those without which it guesses.
pub fn advised_lines(job: &Job, user: &User) -> Vec<String> {
    lines(job, user, "limits")
}

/// Those without which its dead letters cannot be looked at or sent back.
pub fn dead_letter_lines(job: &Job, user: &User) -> Vec<String> {
    lines(job, user, "dead_letters")
}

fn lines(job: &Job, user: &User, need: &str) -> Vec<String> {
    let environment = [("KAFKA_PASSWORD", user.password.as_str())];
    let (code, text) = job.printed(&["explain"], &["--format", "json"], &environment);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(&user.password), "the password is in:\n{text}");
    let explained: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let permissions = explained["clusters"][0]["permissions"].as_array().expect("a list");
    let of_kind = permissions.iter().filter(|one| one["need"] == need);
    of_kind.map(|one| one["command"].as_str().expect("a line").to_owned()).collect()
}

/// The properties of a broker for everybody, and what makes it one for those with a name only.
fn properties(plain: &str, ports: [u16; 3], certificates: &Path) -> String {
    let mut text = String::new();
    for line in plain.lines() {
        let added = LISTENERS.iter().zip(ports);
        match line.split_once('=').map(|(key, _)| key) {
            Some("listeners" | "advertised.listeners") => {
                text += line;
                added.for_each(|((_, name), port)| text += &format!(",{name}://127.0.0.1:{port}"));
            }
            Some("listener.security.protocol.map") => {
                text += line;
                added.for_each(|((_, name), _)| text += &format!(",{name}:SASL_SSL"));
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text += "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
";
    for (_, name) in LISTENERS {
        let name = name.to_lowercase();
        let file = certificates.join(format!("{name}.pem"));
        let listener = format!("listener.name.{name}");
        text += &format!(
            "{listener}.ssl.keystore.type=PEM\n{listener}.ssl.keystore.location={}\n",
            file.display()
        );
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            text += &format!(
                "{listener}.{mechanism}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
            );
        }
    }
    text
}

/// Two authorities, and the key and certificate of each listener signed by the first.
fn make_certificates(directory: &Path) {
    let write =
        |name: &str, text: String| fs::write(directory.join(name), text).expect("a file in a new directory");
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        (certificate.pem(), Issuer::new(params, key))
    };
    let (pem, issuer) = authority("an authority");
    write("authority.pem", pem);
    write("other-authority.pem", authority("another authority").0);
    for (listener, name) in LISTENERS {
        let names = match listener {
            Listener::OtherHost => vec!["kafka.example.com".to_owned()],
            Listener::Good | Listener::Expired => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names).expect("names of hosts");
        if listener == Listener::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        write(&format!("{}.pem", name.to_lowercase()), key.serialize_pem() + &certificate.pem());
    }
}
