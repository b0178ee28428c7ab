mod cli_produce;
