//! The seeded simulation: the product's tasks, coordinator and recovery on one thread, over an outside world in memory.
//! One seed gives one history.
//!
//! - [`scenario`] and [`pipeline`]: what is read, and what runs
//! - [`outside`]: the doubles of Kafka, the disk and the operators, their faults, and defects that tests plant
//! - [`life`]: one incarnation step by step; [`world`]: lives one after another, until the input is read
//! - [`versions`]: what is swapped in and out while it runs
//! - [`history`]: what was seen; [`checkers`]: what must be true of it
//! - [`random`], [`clock`]: numbers and time from the seed

pub mod checkers;
pub mod clock;
pub mod history;
pub mod life;
pub mod outside;
pub mod pipeline;
pub mod random;
pub mod scenario;
pub mod versions;
pub mod world;
