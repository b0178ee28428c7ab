//! The command line.

use clap::{Parser, Subcommand};

use super::completion::CompletionArgs;
use super::convert::ConvertArgs;
use super::crd::CrdArgs;
use super::dev::DevArgs;
use super::dlq::DlqArgs;
use super::docs::DocsArgs;
use super::doctor::DoctorArgs;
use super::encryption::{DecryptArgs, EncryptArgs, EncryptionArgs};
use super::explain::ExplainArgs;
use super::lag::LagArgs;
use super::logs::LogsArgs;
use super::man::ManArgs;
use super::pause::PauseArgs;
use super::produce::ProduceArgs;
use super::record::RecordArgs;
use super::render::RenderArgs;
use super::reset::ResetArgs;
use super::simulate::SimulateArgs;
use super::skip::SkipArgs;
use super::status::StatusArgs;
use super::top::TopArgs;
use super::validate::ValidateArgs;
use super::version::VersionArgs;

/// Runs fleets of Kafka consumers on Kubernetes.
#[derive(Parser, Debug)]
#[command(
    name = "drover",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// One line per subcommand.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Write a script with which a shell completes subcommands and flags
    Completion(CompletionArgs),
    /// Write the KafkaConsumers that replace ScaledObjects of KEDA, KafkaSources of Knative, or Deployments
    Convert(ConvertArgs),
    /// Print a CustomResourceDefinition as YAML
    Crd(CrdArgs),
    /// Decide sizes of a fleet: a policy and samples as lines of JSON in, a decision for each out
    Decide,
    /// Decrypt messages of ActiveRecord::Encryption from arguments or standard input
    Decrypt(DecryptArgs),
    /// Run a worker on this machine from a KafkaConsumer in a file, with an embedded Kafka or a given one
    Dev(DevArgs),
    /// Look at dead letters, replay them, delete them
    Dlq(DlqArgs),
    /// Print a page of the documentation that is written from the program itself
    #[command(hide = true)]
    Docs(DocsArgs),
    /// Walk from the API server to the handler, and say what is wrong first
    Doctor(DoctorArgs),
    /// Encrypt texts from arguments or standard input, as ActiveRecord::Encryption does
    Encrypt(EncryptArgs),
    /// Check this implementation of ActiveRecord::Encryption against messages of others
    Encryption(EncryptionArgs),
    /// Explain the size of a fleet: what it sees, what it decided and why, when it may act next
    Explain(ExplainArgs),
    /// Show partition by partition what waits, for how long, at whom, and what holds it up
    Lag(LagArgs),
    /// Print what all workers of a fleet log
    Logs(LogsArgs),
    /// Write a man page for each command into a folder
    Man(ManArgs),
    /// Stop fleets: their pods finish what they hold, commit and go
    Pause(PauseArgs),
    /// Produce records, keyed and acknowledged, from arguments, a file, standard input or a count
    Produce(ProduceArgs),
    /// Write the load of live topics into a file that simulate replays
    Record(RecordArgs),
    /// Print the objects that the controller would apply for KafkaConsumers in a file
    Render(RenderArgs),
    /// Set the offsets at which a paused fleet goes on: the oldest, the end, a time, an offset
    Reset(ResetArgs),
    /// Let paused fleets go on
    Resume(PauseArgs),
    /// Replay a load: what would Drover do, what would KEDA, and how long would records wait
    Simulate(SimulateArgs),
    /// Give one record up: its fleet passes it over, and what waits for it goes on
    Skip(SkipArgs),
    /// Show what KafkaConsumers do: pods, lag, delay, reasons, and what is not well
    Status(StatusArgs),
    /// Show the fleets live in the terminal, those in trouble first; pause, resume, open one
    Top(TopArgs),
    /// Check KafkaConsumers in files, as the API server and the controller would
    Validate(ValidateArgs),
    /// Print the versions of this program, of the controllers and of the workers
    Version(VersionArgs),
}
