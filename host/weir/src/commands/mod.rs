//! The commands of weir: one file each.

mod child;
mod client;
mod demo;
pub mod dlq;
mod explain;
mod offsets;
mod operator_inspect;
mod operator_new;
mod run;
pub mod savepoint;
mod schema;
mod serve;
mod state;
pub mod test;
pub mod upgrade;
mod validate;

use crate::failure::{Exit, Failure};
use clap::Subcommand;
use std::path::PathBuf;

/// What weir can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline until it ends or is stopped
    Run(run::Options),
    /// Serve pipelines: upload operators, deploy, swap and watch over HTTP
    Serve(serve::Options),
    /// Check a pipeline file and its components without running anything
    Validate(validate::Options),
    /// Show what a pipeline file becomes: threads, promises, names, and the permissions it needs
    Explain(explain::Options),
    /// Print the JSON Schema of the pipeline file, for editors
    Schema,
    /// Run an operator over sample records, without any server
    Test(test::Options),
    /// Look at operators, and begin new ones
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Deploy, watch and change pipelines of a server
    #[command(subcommand)]
    Pipeline(client::pipelines::PipelineCommand),
    /// Make a server run what a pipeline file says
    Apply(client::pipelines::Apply),
    /// Show what the pipelines of a server are doing
    Status(client::status::Options),
    /// Make and revoke tokens of a server
    #[command(subcommand)]
    Token(client::tokens::TokenCommand),
    /// Show and reset where a stopped pipeline goes on
    #[command(subcommand)]
    Offsets(offsets::OffsetsCommand),
    /// Look at dead letters, and send them back into the operators that failed
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Make, move and remove savepoints, also beside a running host
    #[command(subcommand)]
    Savepoint(savepoint::SavepointCommand),
    /// Read what operators keep per key, also beside a running host
    #[command(subcommand)]
    State(state::StateCommand),
    /// Which weir can open a data directory, and going over to the formats of this one
    #[command(subcommand)]
    Upgrade(upgrade::UpgradeCommand),
    /// See a pipeline survive new versions, bad ones too, and being killed
    Demo(demo::Options),
    /// Work on a component in a process with limits; not for people
    #[command(subcommand, hide = true)]
    Child(child::ChildCommand),
}

/// Commands about operators.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Say what a component is and what it wants
    Inspect(operator_inspect::Options),
    /// Make the directory of a new operator in Rust
    New(operator_new::Options),
    /// Upload a component to a server
    Push(client::operators::Push),
    /// List the operators of a server
    #[command(visible_alias = "ls")]
    List(client::operators::List),
    /// Show an operator of a server, or one of its versions
    Show(client::operators::One),
    /// Delete a version from a server
    #[command(visible_alias = "rm")]
    Delete(client::operators::One),
    /// Run sample records through a version, on the server
    Test(client::operators::Test),
}

impl Command {
    /// Does it.
    pub fn perform(self) -> Result<Exit, Failure> {
        match self {
            Command::Run(options) => run::run(&options),
            Command::Serve(options) => serve::run(&options),
            Command::Validate(options) => validate::run(&options),
            Command::Explain(options) => explain::run(&options),
            Command::Schema => schema::run(),
            Command::Test(options) => test::run(&options),
            Command::Operator(OperatorCommand::Inspect(options)) => operator_inspect::run(&options),
            Command::Operator(OperatorCommand::New(options)) => operator_new::run(&options),
            Command::Operator(OperatorCommand::Push(options)) => client::operators::push(&options),
            Command::Operator(OperatorCommand::List(options)) => client::operators::list(&options),
            Command::Operator(OperatorCommand::Show(options)) => client::operators::show(&options),
            Command::Operator(OperatorCommand::Delete(options)) => client::operators::delete(&options),
            Command::Operator(OperatorCommand::Test(options)) => client::operators::test(&options),
            Command::Pipeline(command) => client::pipelines::run(&command),
            Command::Apply(options) => client::pipelines::apply(&options),
            Command::Status(options) => client::status::run(&options),
            Command::Token(command) => client::tokens::run(&command),
            Command::Offsets(command) => offsets::run(&command),
            Command::Dlq(command) => dlq::run(&command),
            Command::Savepoint(command) => savepoint::run(&command),
            Command::State(command) => state::run(&command),
            Command::Upgrade(command) => upgrade::run(&command),
            Command::Demo(options) => demo::run(&options),
            Command::Child(command) => child::run(&command),
        }
    }
}

/// Which pipeline, and where its checkpoints are.
#[derive(Debug, clap::Args)]
pub struct PipelineOptions {
    /// The pipeline file
    pub file: PathBuf,
    /// Set a key of the pipeline file, such as checkpoint.interval=1s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Where checkpoints are kept.
#[derive(Debug, clap::Args)]
pub struct DataDirOptions {
    /// Where checkpoints and compiled components are kept; one weir at a time
    #[arg(
        long,
        env = "WEIR_DATA_DIR",
        hide_env_values = true,
        default_value = "weir-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
}
