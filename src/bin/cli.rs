use clap::Parser;
#[derive(Parser)]
enum Cli {
    Produce(drover::cli::produce::ProduceArgs),
    Status(drover::cli::status::StatusArgs),
}
#[tokio::main]
async fn main() -> std::process::ExitCode {
    let done = match Cli::parse() {
        Cli::Produce(a) => drover::cli::produce::run(a).await,
        Cli::Status(a) => drover::cli::status::run(a).await,
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("drover: {e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
