//! `cargo xtask kafka up | down | status`: a broker that stays when the chore has ended.

use crate::broker::{self, state::State};
use crate::checkout::Checkout;
use crate::prerequisites;
use crate::stop::Stop;
use std::path::PathBuf;

/// What to do with the broker.
#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
    /// The broker's folder: data, log and state file. Two folders are two brokers.
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Start a broker with empty topics, wait until it answers, print its address.
    Up {
        /// The port; a free one if not given.
        #[arg(long)]
        port: Option<u16>,
    },
    /// Stop the broker that `up` started and delete its data.
    Down,
    /// Print the address of the broker that `up` started; exit code 1 if there is none.
    Status,
}

/// Starts, stops or shows the broker of a folder.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let folder = match &options.dir {
        Some(folder) => std::path::absolute(folder).map_err(Stop::file(folder))?,
        None => checkout.brokers().join("up"),
    };
    match options.action {
        Action::Up { port } => {
            prerequisites::ensure(checkout, prerequisites::For::HostAndBroker)?;
            println!("{}", broker::up(checkout, &folder, port)?);
            Ok(())
        }
        Action::Down => broker::down(&folder),
        Action::Status => match State::running(&folder) {
            Some(state) => {
                println!("{}", state.address());
                Ok(())
            }
            None => Err(Stop::failed(format!("no broker runs in {}", folder.display()))),
        },
    }
}
