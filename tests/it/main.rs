mod cli_produce;
mod examples;
