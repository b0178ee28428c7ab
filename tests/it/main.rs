
mod cli_produce;
