//! A replay of dead letters as the tasks see it: readers that hold the pipeline's own sources, readers that make
//! records of letters again, and the router behind those.

mod held_reader;
mod letters_reader;
mod router;

pub use held_reader::HeldReader;
pub use letters_reader::LettersReader;
pub use router::Router;

/// The header by which a reader tells the router which way a record goes. It never leaves the two.
const ROUTE: &str = "weir-replay-route";
