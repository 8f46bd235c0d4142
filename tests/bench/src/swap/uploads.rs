//! From the first byte of an upload to the answer 201: the version is stored, looked at and compiled in a process of its
//! own, and can be used at once.

use super::Place;
use super::arguments::Arguments;
use super::python;
use super::server::Server;
use super::spread::{self, Spread};
use crate::failure::Failure;
use std::time::Instant;

/// How often each is uploaded: with bytes of its own each time, or the second time would be a look-up.
const REPEAT: u32 = 5;

/// Uploads of one component.
pub struct Upload {
    /// What it is.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: usize,
    /// How long new bytes took, in milliseconds.
    pub new_ms: Option<Spread>,
    /// The same bytes once more.
    pub known_ms: f64,
}

/// What was measured, and why something was not.
pub struct Uploads {
    /// By component.
    pub measured: Vec<Upload>,
    /// What is missing.
    pub missing: Option<String>,
}

/// Uploads a small component and a large one.
pub fn measure(place: &Place, arguments: &Arguments) -> Result<Uploads, Failure> {
    let folder = place.scratch.path().join("uploads");
    let server = Server::start(arguments, &folder)?;
    let mut measured = vec![uploads(&server, "prefix", "Rust", &arguments.guest("prefix")?)?];
    let python = python::component(&folder.join("python"), &arguments.wit)
        .and_then(|component| uploads(&server, "python", "Python", &component));
    let missing = match python {
        Ok(upload) => {
            measured.push(upload);
            None
        }
        Err(failure) => Some(format!("the large component is not measured: {failure}")),
    };
    Ok(Uploads { measured, missing })
}

fn uploads(server: &Server, name: &str, what: &'static str, component: &[u8]) -> Result<Upload, Failure> {
    let timed = |bytes: &[u8]| {
        let begun = Instant::now();
        server.upload(name, bytes)?;
        Ok::<f64, Failure>(begun.elapsed().as_secs_f64() * 1e3)
    };
    let mut new_ms = Vec::new();
    for number in 0..REPEAT {
        new_ms.push(timed(&with_section(component, number))?);
    }
    let known_ms = timed(&with_section(component, 0))?;
    Ok(Upload { what, bytes: component.len(), new_ms: spread::of(new_ms), known_ms })
}

/// A module or component with a custom section at its end, so that its bytes are not those of another.
fn with_section(component: &[u8], number: u32) -> Vec<u8> {
    const NAME: &[u8] = b"bench";
    let mut bytes = component.to_vec();
    // The id of a custom section, then the length of what follows: the length of the name, the name, the number.
    bytes.extend([0, (1 + NAME.len() + 4) as u8, NAME.len() as u8]);
    bytes.extend(NAME);
    bytes.extend(number.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_makes_other_bytes_of_the_same_component() {
        let empty = b"\0asm\x01\0\0\0";
        let (one, other) = (with_section(empty, 1), with_section(empty, 2));
        assert_eq!(one[..8], empty[..]);
        assert_eq!((one[8], usize::from(one[9])), (0, one.len() - 10));
        assert_ne!(one, other);
    }
}
