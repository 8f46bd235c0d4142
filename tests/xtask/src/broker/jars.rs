//! The jars of Apache Kafka, fetched once by Maven: a real broker without a tarball.

use crate::checkout::Checkout;
use crate::debian::Need;
use crate::run;
use crate::stop::Stop;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the broker, of the jars and of the image.
pub const KAFKA_VERSION: &str = "4.3.1";
/// The oldest Java that this Kafka runs on.
const JAVA_OLDEST: u32 = 17;

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;

fn pom() -> String {
    POM.replace("VERSION", KAFKA_VERSION)
}

/// The folder that holds `libs/`. Jars of another version are fetched anew.
pub fn fetch(checkout: &Checkout) -> Result<PathBuf, Stop> {
    let home = checkout.kafka_home();
    if fetched(&home) {
        return Ok(home);
    }
    eprintln!("fetching Apache Kafka {KAFKA_VERSION} (54 MB, once)");
    let (partial, libs) = (home.join("libs.partial"), home.join("libs"));
    for stale in [&partial, &libs].into_iter().filter(|folder| folder.is_dir()) {
        fs::remove_dir_all(stale).map_err(Stop::file(stale))?;
    }
    fs::create_dir_all(&partial).map_err(Stop::file(&partial))?;
    let file = partial.join("pom.xml");
    fs::write(&file, pom()).map_err(Stop::file(&file))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    // Maven writes to stdout even when quiet, and stdout is for the broker's address.
    maven.arg("-Dstyle.color=never").stdout(io::stderr());
    maven.arg(format!("-DoutputDirectory={}", partial.display())).arg("-f").arg(&file);
    run::visibly(&mut maven, "Maven cannot fetch the broker")?;
    // The rename is what makes the jars count as fetched: an interrupted download never does.
    fs::rename(&partial, &libs).map_err(Stop::file(&libs))?;
    Ok(home)
}

fn fetched(home: &Path) -> bool {
    fs::read_to_string(home.join("libs/pom.xml")).is_ok_and(|present| present == pom())
}

/// Whether this machine can run the jars, and has or can fetch them.
pub fn usable(checkout: &Checkout) -> bool {
    java_is_new_enough() && (fetched(&checkout.kafka_home()) || run::on_path("mvn").is_some())
}

/// The fetched folder, for tests that start brokers of their own, or nothing where it cannot be had.
pub fn home_if_usable(checkout: &Checkout) -> Result<Option<PathBuf>, Stop> {
    if usable(checkout) { fetch(checkout).map(Some) } else { Ok(None) }
}

/// What is missing to run the jars.
pub fn needs(checkout: &Checkout) -> Vec<Need> {
    let mut needs = Vec::new();
    if !java_is_new_enough() {
        needs.push(Need { what: "Java 17 or newer (or docker)", packages: "default-jdk-headless" });
    }
    if !fetched(&checkout.kafka_home()) && run::on_path("mvn").is_none() {
        needs.push(Need { what: "Maven (or docker)", packages: "maven" });
    }
    needs
}

/// The java of `JAVA_HOME`, or of the search path.
pub fn java() -> PathBuf {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    home.filter(|java| java.is_file()).unwrap_or_else(|| "java".into())
}

fn java_is_new_enough() -> bool {
    run::output(Command::new(java()).arg("-version"))
        .and_then(|about| java_version(&about))
        .is_some_and(|version| version >= JAVA_OLDEST)
}

/// The major version in `openjdk version "17.0.15" 2025-04-15`; Java 8 calls itself 1.8 and counts as 1.
fn java_version(about: &str) -> Option<u32> {
    let version = about.split('"').nth(1)?;
    version.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{java_version, pom};

    #[test]
    fn the_major_version_of_java_is_read() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(java_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(java_version("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(java_version("java version \"1.8.0_392\""), Some(1));
        assert_eq!(java_version("command not found"), None);
    }

    #[test]
    fn the_pom_names_one_version_of_kafka() {
        assert_eq!(pom().matches(super::KAFKA_VERSION).count(), 2);
        assert!(!pom().contains("VERSION"));
    }
}
