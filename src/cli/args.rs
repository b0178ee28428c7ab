//! The command line.

use clap::{Parser, Subcommand};

use super::dlq::DlqArgs;
use super::encryption::{DecryptArgs, EncryptArgs, EncryptionArgs};
use super::produce::ProduceArgs;
use super::record::RecordArgs;
use super::simulate::SimulateArgs;
use super::status::StatusArgs;
use super::validate::ValidateArgs;

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
    /// Print the CustomResourceDefinition as YAML
    Crd,
    /// Decide sizes of a fleet: a policy and samples as lines of JSON in, a decision for each out
    Decide,
    /// Decrypt messages of ActiveRecord::Encryption from arguments or standard input
    Decrypt(DecryptArgs),
    /// Look at dead letters, replay them, delete them
    Dlq(DlqArgs),
    /// Encrypt texts from arguments or standard input, as ActiveRecord::Encryption does
    Encrypt(EncryptArgs),
    /// Check this implementation of ActiveRecord::Encryption against messages of others
    Encryption(EncryptionArgs),
    /// Produce records, keyed and acknowledged, from arguments, standard input or a count
    Produce(ProduceArgs),
    /// Write the load of live topics into a file that simulate replays
    Record(RecordArgs),
    /// Replay a load: what would Drover do, what would KEDA, and how long would records wait
    Simulate(SimulateArgs),
    /// Show what KafkaConsumers do: pods, lag, delay, reasons, and what is not well
    Status(StatusArgs),
    /// Check KafkaConsumers in files, as the API server and the controller would
    Validate(ValidateArgs),
}
